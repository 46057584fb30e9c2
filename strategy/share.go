package strategy

import (
	"fmt"
	"math"
)

const (
	// doubt is the chance at most, in one look, that a router which keeps to the share is said not to: looks are many.
	doubt = 1e-9
	// tolerated is how many times more or less than its share a canary may get.
	tolerated = 2
)

// shared is how the requests were divided while one weight was in effect.
type shared struct {
	Canary float64 `json:"c,omitempty"`
	Stable float64 `json:"s,omitempty"`
	Off    bool    `json:"off,omitempty"` // the canary gets less than half of its share, or more than twice of it
	Got    float64 `json:"got,omitempty"` // what it got instead
	Of     float64 `json:"of,omitempty"`  // so many requests
}

// add counts further requests of a canary that is to get this share, and tells anew whether it does. What has said enough is
// forgotten, so that a router that was mended is seen to be.
func (s shared) add(canary, stable, share float64) shared {
	s.Canary, s.Stable = s.Canary+canary, s.Stable+stable
	n := s.Canary + s.Stable
	if n <= 0 || share <= 0 {
		return s
	}
	got, low, high := s.Canary/n, share/tolerated, share*tolerated
	switch {
	case got < low && certain(n, got, low), got > high && certain(n, got, high):
		return shared{Off: true, Got: got, Of: n}
	case got >= low && got <= high && (certain(n, share, low) || share >= 1):
		return shared{}
	}
	return s
}

// certain tells whether a share as far from another as this is no chance after n requests: the bound of Chernoff.
func certain(n, got, from float64) bool {
	return n*divergence(got, from) > -math.Log(doubt)
}

// divergence is that of Kullback and Leibler between two shares.
func divergence(p, q float64) float64 {
	term := func(a, b float64) float64 {
		if a == 0 {
			return 0
		}
		return a * math.Log(a/b)
	}
	if q >= 1 {
		return 0 // Nothing is more than all.
	}
	return term(p, q) + term(1-p, 1-q)
}

// divided takes in how the requests were divided since the evidence before, where one weight was in effect all the time.
func (e Evidence) divided(before Evidence, s Sample, share Weight) Evidence {
	if s.Every > 0 && s.At.Sub(e.Turned) < 2*s.Every {
		return e // What is counted may be of the weight before.
	}
	e.Shared = before.Shared.add(e.Canary.Requests-before.Canary.Requests, e.Stable.Requests-before.Stable.Requests, share.Share())
	return e
}

// share is what of the weight in effect the router is to bring to the canary.
func (t *TrafficState) share(w Weight) Weight {
	if t != nil && t.Share != nil {
		return *t.Share
	}
	return w
}

// splitHeeded holds a rollout whose canary gets far less or more of the requests than it was given. Where users stay on the
// track that served them first, shares move slowly, and it is only said.
func (m *machine) splitHeeded() (Reason, bool) {
	if !m.Evidence.Shared.Off || m.Plan.Sticky {
		return Reason{}, false
	}
	return m.hold(SplitNotInEffect, "the split is not in effect: the canary got %s, and is to get %s. Does all traffic come through the router, and by its weights?", m.Evidence.Shared.text(), m.o.Traffic.share(m.Weight)), true
}

// text says what the canary got, where that is off.
func (s shared) text() string {
	return fmt.Sprintf("%s of %.0f requests", Weight(math.Round(s.Got*float64(Full))), s.Of)
}

// shareText says of sticky users that they are divided otherwise.
func (m *machine) shareText() string {
	if m.Evidence.Shared.Off && m.Plan.Sticky {
		return fmt.Sprintf(" (with users who stay on their track it got %s)", m.Evidence.Shared.text())
	}
	return ""
}
