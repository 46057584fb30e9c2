package nomad

import (
	"testing"
	"time"
)

// TestChecksThatCannotBeRead has a client fall silent, and one that never spoke.
func TestChecksThatCannotBeRead(t *testing.T) {
	p, now := passing{last: map[string]passed{}}, time.Unix(1_000_000, 0)
	for _, test := range []struct {
		alloc      string
		read, pass bool
		after      time.Duration
		want       bool
	}{
		{alloc: "a"},
		{alloc: "a", read: true, pass: true, want: true},
		{alloc: "b"},
		{alloc: "a", after: passedFor + time.Second, want: true}, // Nobody asked meanwhile.
		{alloc: "a", after: passedFor, want: true},
		{alloc: "a", after: time.Second},
		{alloc: "a", read: true, pass: true, want: true},
		{alloc: "a", after: passedOnce + time.Second},
		{alloc: "a", read: true, pass: true, want: true},
		{alloc: "a", read: true},
		{alloc: "a"}, // The last word was that they fail.
	} {
		now = now.Add(test.after)
		if got := p.take(test.alloc, test.read, test.pass, now); got != test.want {
			t.Errorf("%+v: got %t", test, got)
		}
	}
}
