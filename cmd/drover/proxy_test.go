package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestUsersAreLetInWithSplits: a proxy without any lets nobody in before Nomad told it, one that kept its last ones waits a while.
func TestUsersAreLetInWithSplits(t *testing.T) {
	for name, c := range map[string]struct {
		old   bool
		known time.Duration // when the splits are; 0 is never
		ends  time.Duration // when the proxy is to end
		want  time.Duration
	}{
		"Nomad answers":                  {known: time.Second, ends: time.Hour, want: time.Second},
		"Nomad is away":                  {ends: time.Hour, want: time.Hour},
		"kept, and Nomad answers":        {old: true, known: time.Second, ends: time.Hour, want: time.Second},
		"kept, and Nomad is away":        {old: true, ends: time.Hour, want: lastSplits},
		"kept, and Nomad is away, ended": {old: true, ends: time.Second, want: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.ends)
				defer cancel()
				known, learn := context.WithCancel(context.Background())
				defer learn()
				if c.known > 0 {
					time.AfterFunc(c.known, learn)
				}
				began := time.Now()
				toServe(ctx, known.Done(), c.old, lastSplits)
				if took := time.Since(began); took != c.want {
					t.Errorf("users are let in after %s, want %s", took, c.want)
				}
			})
		})
	}
}
