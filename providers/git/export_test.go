package git

import "io"

// RenewAfter has the store made anew after so many packs.
func (r *Repository) RenewAfter(packs int) { r.packs = packs }

// Bounds are those of what a ref may bring; zero is the default.
type Bounds struct{ Pack, Objects, Object, Inflated, Admitted int64 }

func (b Bounds) bounds() bounds {
	made := defaultBounds()
	for _, set := range []struct {
		to   *int64
		want int64
	}{{&made.pack, b.Pack}, {&made.objects, b.Objects}, {&made.object, b.Object}, {&made.inflated, b.Inflated}, {&made.admitted, b.Admitted}} {
		if set.want != 0 {
			*set.to = set.want
		}
	}
	return made
}

// Bound sets the bounds of what a ref may bring.
func (r *Repository) Bound(b Bounds) { r.bounds = b.bounds() }

// Inspect inspects a pack.
func Inspect(pack io.Reader, b Bounds) error { return inspect(pack, b.bounds()) }
