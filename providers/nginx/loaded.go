package nginx

import (
	"crypto/sha256"
	"encoding/json"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// remembered is how many files are known that were on the disk before: workers may still run by one of them.
const remembered = 16

// mark tells splits of a release apart.
type mark [8]byte

func markOf(split strategy.Split) (m mark) {
	text, _ := json.Marshal(split) // It was read from such a text.
	sum := sha256.Sum256(text)
	copy(m[:], sum[:])
	return m
}

// files are those that were on the disk last, by their checksums, with what each had of its releases: a file that is new because
// of one release takes nothing from the others.
type files struct {
	order []string
	marks map[string]map[string]mark
}

func (f *files) add(found disk) {
	if _, known := f.marks[found.sum]; known || found.sum == "" {
		return
	}
	if f.marks == nil {
		f.marks = map[string]map[string]mark{}
	}
	if len(f.order) == remembered {
		delete(f.marks, f.order[0])
		f.order = f.order[1:]
	}
	f.order = append(f.order, found.sum)
	of := map[string]mark{}
	for release, split := range found.splits {
		of[release] = markOf(split)
	}
	f.marks[found.sum] = of
}

// loaded is what the workers run by of a release, and since when.
type loaded struct {
	mark  mark
	since time.Time
}

// loads tells whether the workers run by the split that the file has of a release, and none by another, where they say that
// they have loaded the file with this checksum.
func (r *Router) loads(found disk, release, sum string) bool {
	r.files.add(found)
	now := r.options.Now()
	if sum != r.seen {
		r.seen, r.since = sum, now
	}
	of, known := r.files.marks[sum][release]
	if !known {
		delete(r.has, release)
		return false
	}
	had, asked := r.has[release]
	if !asked || had.mark != of {
		had = loaded{of, r.since}
		r.has[release] = had
	}
	return of == r.files.marks[found.sum][release] && now.Sub(had.since) >= overlap
}
