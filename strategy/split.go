package strategy

import (
	"slices"
	"time"
)

// Track is one of the two sides of a split.
type Track string

// The tracks.
const (
	Stable Track = "stable" // the revision that is live and trusted
	Canary Track = "canary" // the one on trial
)

// Endpoint is an allocation that takes requests.
type Endpoint struct {
	Alloc   string `json:"alloc"`
	Address string `json:"address"` // host:port
}

// Check is the health check of a service, which routers that follow a split by themselves run too.
type Check struct {
	Type     string        `json:"type"` // http or tcp
	Path     string        `json:"path,omitempty"`
	Interval time.Duration `json:"interval,omitempty"`
	Timeout  time.Duration `json:"timeout,omitempty"`
}

// Split is how the traffic of a release is divided between its tracks. Routers apply it as a whole.
type Split struct {
	Release   string `json:"release"`
	Namespace string `json:"namespace"`
	Service   string `json:"service"`
	// Weight is what the canary gets of new requests; the rest goes to stable. A canary that nobody answers for leaves
	// its share to stable. Stable leaves none to the canary: below 100% a request that finds no stable endpoint fails,
	// since a canary never gets more than its weight.
	Weight Weight `json:"weight"`
	// Resting says that no rollout is under way. Then a router that follows the service's registrations by itself
	// may add addresses that it does not know, to stable.
	Resting bool       `json:"resting"`
	Stable  []Endpoint `json:"stable,omitempty"`
	Canary  []Endpoint `json:"canary,omitempty"`
	Check   *Check     `json:"check,omitempty"`
	// Sessions names the rollout whose users stay on the track that served them first, by a cookie that carries it; "" for
	// users that may change. At weight 0 and at 100% all users are on one track, whatever they carry.
	Sessions string `json:"sessions,omitempty"`
	// Copies are the requests that are copied to the canary, which gets them besides its weight; nil for none. What it answers
	// to a copy is thrown away, and counted by the track Shadow.
	Copies *Copies `json:"copies,omitempty"`
	// Leaving are allocations that are about to end, by id. They get nothing new by this split, and what is still open on
	// them is to be closed now: in order, where the protocol has one.
	Leaving []string `json:"leaving,omitempty"`
}

// InEffect tells whether a router that reports got does what want asks. At rest the router follows the allocations
// itself, so their lists are not compared; see TrafficState.Static for those that do not.
func (want Split) InEffect(got Split) bool {
	if want.Weight != got.Weight || want.Resting != got.Resting || want.Service != got.Service || want.Namespace != got.Namespace || want.Sessions != got.Sessions || !want.Copies.equal(got.Copies) || !slices.Equal(want.Leaving, got.Leaving) {
		return false
	}
	return want.Resting || want.sameEndpoints(got)
}

// Contradicts tells whether a router that reports got does something else than what is wanted. One that says nothing of a
// release that it knows contradicts nobody; one that knows no such release does.
func (want Split) Contradicts(got Split) bool {
	switch {
	case got.Release == "":
		return true
	case got.Service != "":
		return !want.InEffect(got)
	}
	// Its weight is what arrives, which may be a little less.
	says := len(got.Stable)+len(got.Canary) > 0
	return says && (!want.sameEndpoints(got) || got.Weight > want.Weight || (got.Weight == 0) != (want.Weight == 0))
}

func (want Split) sameEndpoints(got Split) bool {
	return slices.Equal(want.Stable, got.Stable) && slices.Equal(want.Canary, got.Canary)
}
