package nomad

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSegment(t *testing.T) {
	for name, want := range map[string]string{"checkout-api_2": "checkout-api_2", "a.b/c": "a~2eb~2fc", "a~2eb": "a~7e2eb", "é": "~c3~a9"} {
		if got := segment(name); got != want {
			t.Errorf("got %q of %q, want %q", got, name, want)
		}
	}
}

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		away := errors.New("nomad is away")
		answers := []struct {
			index uint64
			err   error
		}{{5, nil}, {9, nil}, {0, away}, {0, away}, {9, nil}, {3, nil}, {4, nil}}
		var asked []uint64
		failures := 0
		start := time.Now()
		err := follow(ctx, func(index uint64) (uint64, error) {
			answer := answers[len(asked)]
			asked = append(asked, index)
			if len(asked) == len(answers) {
				cancel()
			}
			return answer.index, answer.err
		}, func(err error) {
			if !errors.Is(err, away) {
				t.Errorf("got %v, want %v", err, away)
			}
			failures++
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the context's error", err)
		}
		// From the beginning after a failure, and when the server counts anew.
		if diff := cmp.Diff([]uint64{0, 5, 9, 0, 0, 9, 0}, asked); diff != "" {
			t.Errorf("indexes waited for (-want +got):\n%s", diff)
		}
		if failures != 2 {
			t.Errorf("got %d failures told, want 2", failures)
		}
		if waited := time.Since(start); waited < 1500*time.Millisecond || waited > 3*time.Second {
			t.Errorf("waited %s over two failures, want from 1.5s to 3s", waited)
		}
	})
}

func TestFollowEndsInAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		tries := 0
		err := follow(ctx, func(uint64) (uint64, error) {
			tries++
			return 0, errors.New("away")
		}, func(error) {})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
		if tries < 900 || tries > 1800 {
			t.Errorf("got %d tries in an hour, want one every three seconds or so: from 900 to 1800", tries)
		}
	})
}
