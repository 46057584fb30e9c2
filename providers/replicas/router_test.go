package replicas_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/providers/replicas"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

var _ reconcile.Router = (*replicas.Router)(nil)

func split(release string, weight strategy.Weight) strategy.Split {
	return strategy.Split{
		Release: release, Namespace: "default", Service: release, Weight: weight,
		Stable: []strategy.Endpoint{{Alloc: "a", Address: "10.0.0.1:80"}}, Canary: []strategy.Endpoint{{Alloc: "b", Address: "10.0.0.2:80"}},
	}
}

// TestWhatIsToldIsInEffect: nobody else could say anything, so that nothing ever waits for it.
func TestWhatIsToldIsInEffect(t *testing.T) {
	router := replicas.New()
	first, second := split("shop", 2000), split("other", 0)
	for _, s := range []strategy.Split{first, second, split("shop", 5000)} {
		if err := router.Apply(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		state, err := router.Read(t.Context(), s.Release)
		if err != nil || !state.Has(s) {
			t.Errorf("%s was told, and read is %+v, %v", s.Weight, state, err)
		}
	}
	if state, err := router.Read(t.Context(), "other"); err != nil || !state.Has(second) {
		t.Errorf("what was told of one release changed another: %+v, %v", state, err)
	}
}

// TestNobodyWasTold: a release that nothing is known of has one empty split, so that a Drover that was started anew tells it again.
func TestNobodyWasTold(t *testing.T) {
	state, err := replicas.New().Read(t.Context(), "shop")
	if diff := cmp.Diff([]strategy.Split{{}}, state.Splits); diff != "" || err != nil {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
}

// TestShareIsThatOfAllocations: whatever weight is asked for.
func TestShareIsThatOfAllocations(t *testing.T) {
	router := replicas.New()
	for _, c := range []struct {
		stable, canary int
		want           strategy.Weight
	}{{4, 1, 2000}, {3, 1, 2500}, {2, 1, 3333}, {3, 3, 5000}, {4, 0, 0}, {0, 2, strategy.Full}} {
		for _, asked := range []strategy.Weight{0, 1, 500, strategy.Full} {
			if got := router.Share(asked, c.stable, c.canary); got != c.want {
				t.Errorf("%d canaries beside %d get %s when asked for %s, want %s", c.canary, c.stable, got, asked, c.want)
			}
		}
	}
}

// TestItClaimsNothing: plans rest on what it declares.
func TestItClaimsNothing(t *testing.T) {
	if diff := cmp.Diff(strategy.Abilities{Kind: "none", Replicas: true}, replicas.New().Abilities()); diff != "" {
		t.Errorf("abilities (-want +got):\n%s", diff)
	}
}

func TestManyAtATime(t *testing.T) {
	router := replicas.New()
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			s := split(fmt.Sprintf("shop-%d", i), strategy.Weight(i))
			if err := router.Apply(t.Context(), s); err != nil {
				t.Error(err)
			}
			if state, err := router.Read(t.Context(), s.Release); err != nil || !state.Has(s) {
				t.Errorf("%s is read as %+v, %v", s.Release, state, err)
			}
		})
	}
	group.Wait()
}
