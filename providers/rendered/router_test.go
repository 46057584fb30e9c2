package rendered_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/providers/rendered"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

var (
	_ reconcile.Router   = (*rendered.Router)(nil)
	_ reconcile.Surveyor = (*rendered.Router)(nil)
)

// variables is one variable in memory.
type variables struct {
	mu      sync.Mutex
	items   map[string]string
	index   uint64
	written time.Time
	now     func() time.Time
	race    func() // before the next write
}

func (v *variables) Item(_ context.Context, path, name string) (string, time.Time, uint64, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if path != "nomad/jobs/edge" {
		return "", time.Time{}, 0, nil
	}
	return v.items[name], v.written, v.index, nil
}

func (v *variables) PutItem(_ context.Context, _, name, text string, index uint64) error {
	if race := v.race; race != nil {
		v.race = nil
		race()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if index != v.index {
		return strategy.ErrStale
	}
	if v.items == nil {
		v.items = map[string]string{}
	}
	v.items[name] = text
	v.index++
	v.written = v.now()
	return nil
}

// world is a router, its variable and a balancer in a time that is passed in.
type world struct {
	*rendered.Router
	variables *variables
	now       time.Time
	says      string // the balancer
}

func newWorld(t *testing.T, status bool) *world {
	t.Helper()
	w := &world{now: time.Unix(1_000_000, 0)}
	w.variables = &variables{now: func() time.Time { return w.now }}
	o := rendered.Options{Name: "edge", Job: "edge", Variables: w.variables, Now: func() time.Time { return w.now }}
	if status {
		server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(out, w.says+"\n") }))
		t.Cleanup(server.Close)
		o.Status = []string{server.URL}
	}
	router, err := rendered.New(o)
	if err != nil {
		t.Fatal(err)
	}
	w.Router = router
	return w
}

func (w *world) document(t *testing.T) rendered.Document {
	t.Helper()
	var d rendered.Document
	if err := json.Unmarshal([]byte(w.variables.items["drover"]), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func (w *world) has(t *testing.T, want strategy.Split) bool {
	t.Helper()
	state, err := w.Read(t.Context(), want.Release)
	if err != nil {
		t.Fatal(err)
	}
	return state.Has(want)
}

func shop(weight strategy.Weight) strategy.Split {
	return strategy.Split{
		Release: "shop-1", Namespace: "default", Service: "shop", Weight: weight,
		Stable: []strategy.Endpoint{{Alloc: "a", Address: "10.0.0.1:80"}}, Canary: []strategy.Endpoint{{Alloc: "b", Address: "10.0.0.2:80"}},
	}
}

func TestEffectIsWhatTheBalancerSays(t *testing.T) {
	w := newWorld(t, true)
	want := shop(525)
	if err := w.Apply(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if w.has(t, want) {
		t.Error("in effect before the balancer has loaded it")
	}
	w.says = w.document(t).Sum
	if w.has(t, want) {
		t.Error("in effect in the moment that the balancer loaded it: old workers may still answer")
	}
	w.now = w.now.Add(time.Second)
	if !w.has(t, want) {
		t.Error("not in effect though the balancer has loaded it")
	}
	e := w.document(t).Releases[0]
	if e.Symbol != "shop_1" || e.Share != "5.25" || e.Hundredths != "525" || e.Rest != strategy.Stable || !e.Divided {
		t.Errorf("templates read %+v", e)
	}
}

func TestEffectComesAfterTheDelay(t *testing.T) {
	w := newWorld(t, false)
	want := shop(strategy.Full)
	if err := w.Apply(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(rendered.DefaultDelay - time.Second)
	if w.has(t, want) {
		t.Error("in effect before the time is over")
	}
	w.now = w.now.Add(time.Second)
	if !w.has(t, want) {
		t.Error("not in effect when the time is over")
	}
	if e := w.document(t).Releases[0]; e.Rest != strategy.Canary || e.Divided {
		t.Errorf("at 100%% templates read %+v", e)
	}
	// What is published already is not written again, which would begin the time anew.
	w.now = w.now.Add(time.Minute)
	if err := w.Apply(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if !w.has(t, want) {
		t.Error("the same split again is waited for again")
	}
}

func TestSessionsAreKeptWhereTheBalancerSaysSo(t *testing.T) {
	w := newWorld(t, true)
	want := shop(2000)
	want.Sessions = "r-7"
	if err := w.Apply(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if e := w.document(t).Releases[0]; !e.Sticky || e.Sessions != "r-7" {
		t.Errorf("templates read %+v", e)
	}
	w.says = w.document(t).Sum
	w.has(t, want)
	w.now = w.now.Add(time.Second)
	if _, err := w.Read(t.Context(), want.Release); err == nil || !strings.Contains(err.Error(), "does not say that it keeps sessions") {
		t.Errorf("a job that knows nothing of sessions: %v", err)
	}
	if lacks, err := w.Lacks(t.Context(), want.Release, strategy.Plan{Sticky: true}); err != nil || !strings.Contains(lacks, "does not say that it keeps sessions") {
		t.Errorf("such a job lacks %q, %v", lacks, err)
	}
	w.says += " sticky"
	for _, sticky := range []bool{true, false} {
		if lacks, err := w.Lacks(t.Context(), want.Release, strategy.Plan{Sticky: sticky}); err != nil || lacks != "" {
			t.Errorf("one that keeps them lacks %q, %v", lacks, err)
		}
	}
	if !w.has(t, want) {
		t.Error("not in effect though the balancer says that it keeps sessions")
	}
	for _, weight := range []strategy.Weight{0, strategy.Full} {
		want.Weight = weight
		if err := w.Apply(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if w.document(t).Releases[0].Sticky {
			t.Errorf("at %s all users are on one track, whatever they carry", weight)
		}
	}
	if a := w.Abilities(); a.Sessions || a.SessionsWith == "" {
		t.Errorf("a router that was not declared sticky says %+v", a)
	}
}

// TestAnotherVersionPublished: what another version of Drover wrote, with other fields, is as it wrote it.
func TestAnotherVersionPublished(t *testing.T) {
	w := newWorld(t, false)
	const releases = `[{"release":"shop-1","namespace":"default","service":"shop","weight":"0%","resting":true,"color":"blue"}]`
	sum := sha256.Sum256([]byte(releases))
	w.variables.items = map[string]string{"drover": fmt.Sprintf(`{"sum":"%x","releases":%s}`, sum[:8], releases)}
	if !w.has(t, strategy.Split{Release: "shop-1", Namespace: "default", Service: "shop", Resting: true}) {
		t.Error("what it published is not read")
	}
}

func TestOthersKeepWhatTheyHave(t *testing.T) {
	w := newWorld(t, false)
	w.variables.items = map[string]string{"password": "secret"}
	w.variables.race = func() { // Another instance publishes at the same time.
		if err := w.Apply(t.Context(), strategy.Split{Release: "other", Service: "other"}); err != nil {
			t.Error(err)
		}
	}
	if err := w.Prepare(t.Context(), "idle"); err != nil {
		t.Fatal(err)
	}
	if err := w.Apply(t.Context(), shop(0)); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range w.document(t).Releases {
		names = append(names, e.Release)
	}
	if diff := cmp.Diff([]string{"idle", "other", "shop-1"}, names); diff != "" || w.variables.items["password"] != "secret" {
		t.Errorf("the variable holds %v and %v", names, w.variables.items)
	}
	if state, err := w.Read(t.Context(), "idle"); err != nil || !cmp.Equal(state.Splits, []strategy.Split{{}}) {
		t.Errorf("a release that was only prepared is read as %+v, %v", state, err)
	}
}

func TestWhatAPersonChangedIsReported(t *testing.T) {
	w := newWorld(t, false)
	if err := w.Apply(t.Context(), shop(500)); err != nil {
		t.Fatal(err)
	}
	w.variables.items["drover"] = strings.Replace(w.variables.items["drover"], `"weight":"5%"`, `"weight":"50%"`, 1)
	if _, err := w.Read(t.Context(), "shop-1"); err == nil || !strings.Contains(err.Error(), "changed by somebody else") {
		t.Errorf("got %v, want an error that says so", err)
	}
	if err := w.Apply(t.Context(), shop(500)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Read(t.Context(), "shop-1"); err != nil {
		t.Errorf("after the next split: %v", err)
	}
}

func TestMistakes(t *testing.T) {
	for _, o := range []rendered.Options{{}, {Job: "a/b"}, {Job: "edge", Status: []string{"http://x"}, Delay: time.Second}} {
		if _, err := rendered.New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}

// TestOthersDisturbNobody: a release whose split stays is said to have it while that of another changes.
func TestOthersDisturbNobody(t *testing.T) {
	for _, status := range []bool{true, false} {
		w := newWorld(t, status)
		kept, other := shop(2500), shop(500)
		other.Release = "other"
		apply := func(split strategy.Split) {
			t.Helper()
			if err := w.Apply(t.Context(), split); err != nil {
				t.Fatal(err)
			}
		}
		settle := func() {
			w.has(t, kept)
			w.now = w.now.Add(time.Second)
			w.says = w.document(t).Sum
			w.has(t, kept)
			w.now = w.now.Add(rendered.DefaultDelay)
		}
		apply(kept)
		settle()
		if !w.has(t, kept) {
			t.Fatalf("status %t: not in effect", status)
		}
		apply(other)
		if !w.has(t, kept) || w.has(t, other) {
			t.Errorf("status %t: when another was published, one that stayed is in effect %t, and the other %t", status, w.has(t, kept), w.has(t, other))
		}
		settle()
		if !w.has(t, kept) || !w.has(t, other) {
			t.Errorf("status %t: later, one is in effect %t, and the other %t", status, w.has(t, kept), w.has(t, other))
		}
		// There and back, before anybody looked.
		changed := kept
		changed.Weight = 0
		apply(changed)
		apply(kept)
		if w.has(t, kept) {
			t.Errorf("status %t: a split that was taken back is in effect at once", status)
		}
		settle()
		if w.says = "another"; w.has(t, kept) == status {
			t.Errorf("status %t: in effect though the balancer says that it has something else", status)
		}
	}
}
