package providertest

import (
	"fmt"
	"testing"

	"github.com/drover-dev/drover/strategy"
)

// routerManyAllocations has a split with as many allocations as a large service has, named as Nomad names them.
func routerManyAllocations(t *testing.T, s *routerSuite) {
	if s.Edge == "" {
		return
	}
	const each, turns = 60, 10
	split := strategy.Split{Release: shopRelease, Namespace: "default", Service: shopRelease, Weight: strategy.Percent(50)}
	isCanary := map[string]bool{}
	for i := range each {
		for n, to := range []*[]strategy.Endpoint{&split.Stable, &split.Canary} {
			alloc := fmt.Sprintf("%08x-5d6e-4f70-8192-a3b4c5d6e7f8", 1+n*each+i)
			*to = append(*to, s.Start(shopRelease, alloc))
			isCanary[alloc] = n == 1
		}
	}
	s.apply(t, split)
	const requests = 2 * each * turns // Shares are those of whole turns.
	got, canary := s.Send(shopRelease, requests), 0
	for alloc, n := range got {
		if _, known := isCanary[alloc]; !known {
			t.Errorf("%q answered %d requests", alloc, n)
		}
		if isCanary[alloc] {
			canary += n
		}
	}
	if off, slack := canary-requests/2, s.slack(requests, 0.5); off < -slack-1 || off > slack+1 {
		t.Errorf("at 50%% %d canaries answered %d of %d requests, want half of them (slack %d)", each, canary, requests, slack)
	}
	if len(got) < 2*each*9/10 {
		t.Errorf("%d of %d allocations answered %d requests", len(got), 2*each, requests)
	}
}

// routerAddresses has allocations at addresses of IPv6, and one that comes where another was a moment ago.
func routerAddresses(t *testing.T, s *routerSuite) {
	if s.Edge == "" {
		return
	}
	services := NewServices(t)
	split := strategy.Split{Release: shopRelease, Namespace: "default", Service: shopRelease, Weight: strategy.Percent(25)}
	split.Stable = []strategy.Endpoint{services.StartAt("[::1]:0", shopRelease+"-stable")}
	split.Canary = []strategy.Endpoint{services.StartAt("[::1]:0", shopRelease+"-canary")}
	s.apply(t, split)
	s.expect(t, shopRelease, 400, split.Weight)

	// The canary ends, and an allocation of the stable version gets its port.
	address := split.Canary[0].Address
	split.Canary[0] = services.StartAt("127.0.0.1:0", shopRelease+"-canary")
	s.apply(t, split)
	services.end(address)
	split.Stable = append([]strategy.Endpoint{services.StartAt(address, shopRelease+"-a-second")}, split.Stable...) // They are in the order of their names.
	s.apply(t, split)
	got := s.Send(shopRelease, 400)
	if got[shopRelease+"-stable"]+got[shopRelease+"-a-second"]+got[shopRelease+"-canary"] != 400 || got[shopRelease+"-a-second"] == 0 {
		t.Errorf("where an allocation got the address of one that ended, these answered: %v", got)
	}
	share := 0.25
	if off, slack := got[shopRelease+"-canary"]-100, s.slack(400, share); off < -slack-1 || off > slack+1 {
		t.Errorf("at 25%% the canary answered %d of 400, want 100 (slack %d)", got[shopRelease+"-canary"], slack)
	}
}
