package nomad

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

// variableLimit is what Nomad stores in one variable, keys and values together.
const variableLimit = 64 << 10

// jsonItem is the one item of every variable that Drover writes.
const jsonItem = "json"

// segment makes one part of a variable's path of a name. Nomad allows few characters there; all others are written
// as ~ and two hexadecimal digits.
func segment(name string) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "~%02x", c)
		}
	}
	return b.String()
}

// tooLarge tells whether Nomad refuses a variable for its size.
func tooLarge(err error) bool {
	return statusOf(err) == http.StatusRequestEntityTooLarge ||
		(statusOf(err) == http.StatusBadRequest && strings.Contains(bodyOf(err), "limited to"))
}

// readAll reads every variable below a prefix. One that vanishes meanwhile is left out.
func readAll(ctx context.Context, client *api.Client, namespace, prefix string) ([]*api.Variable, error) {
	list, _, err := client.Variables().PrefixList(prefix, query(ctx, namespace))
	if err != nil {
		return nil, fmt.Errorf("list variables below %s: %w", prefix, err)
	}
	return readEach(ctx, client, namespace, list)
}

func readEach(ctx context.Context, client *api.Client, namespace string, list []*api.VariableMetadata) ([]*api.Variable, error) {
	var found []*api.Variable
	for _, meta := range list {
		variable, _, err := client.Variables().Peek(meta.Path, query(ctx, namespace))
		if err != nil {
			return nil, fmt.Errorf("read variable %s: %w", meta.Path, err)
		}
		if variable != nil {
			found = append(found, variable)
		}
	}
	return found, nil
}

// The bounds between tries while Nomad is away. The longer one is how late a router may learn, after an outage, that a
// canary is to have no traffic.
const (
	firstPause = time.Second
	lastPause  = 4 * time.Second
)

// follow calls read with the index to wait for, again and again until ctx is done: a blocking query by each call. read
// returns the next index. While it fails it is tried again after a pause that grows to lastPause.
func follow(ctx context.Context, read func(index uint64) (uint64, error), failed func(error)) error {
	index, pause := uint64(0), firstPause
	for {
		next, err := read(index)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			failed(err)
			// Read anew afterwards: what was waited for may have passed.
			index = 0
			if err := sleep(ctx, pause/2+rand.N(pause/2)); err != nil {
				return err
			}
			pause = min(2*pause, lastPause)
			continue
		}
		pause = firstPause
		// An index that falls is a server that counts anew.
		if next < index {
			next = 0
		}
		index = next
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
