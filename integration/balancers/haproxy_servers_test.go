package balancers_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/haproxy"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/strategy"
)

// haproxyCase is one HAProxy with users, services, and a Drover in a time of its own.
type haproxyCase struct {
	t        *testing.T
	program  *haproxyServer
	router   *haproxy.Router
	users    *providertest.Users
	services *providertest.Services
	now      time.Time
}

func newHAProxyCase(t *testing.T, folder string, lines ...string) *haproxyCase {
	t.Helper()
	c := &haproxyCase{t: t, now: time.Now(), services: providertest.NewServices(t)}
	options := haproxy.Options{Name: "edge", Sockets: []string{"unix:/nowhere"}, Folder: folder, Now: func() time.Time { return c.now }}
	router, err := haproxy.New(options)
	if err != nil {
		t.Fatal(err)
	}
	if err := router.Prepare("shop", "other"); err != nil {
		t.Fatal(err)
	}
	c.program = startHAProxy(t, folder, lines...)
	c.users = providertest.NewUsers(t, c.program.edge)
	options.Sockets = []string{c.program.api}
	if c.router, err = haproxy.New(options); err != nil {
		t.Fatal(err)
	}
	return c
}

// split is one with an endpoint on each track.
func (c *haproxyCase) split(weight strategy.Weight) strategy.Split {
	return strategy.Split{
		Release: "shop", Namespace: "default", Service: "shop", Weight: weight,
		Stable: []strategy.Endpoint{c.services.Start("shop", "one")}, Canary: []strategy.Endpoint{c.services.Start("shop", "two")},
	}
}

func (c *haproxyCase) apply(split strategy.Split) {
	c.t.Helper()
	if err := c.router.Apply(c.t.Context(), split); err != nil {
		c.t.Fatal(err)
	}
	if state := c.read(); !state.Has(split) {
		c.t.Fatalf("applied %+v, got %+v", split, state.Splits)
	}
}

func (c *haproxyCase) read() strategy.TrafficState {
	c.t.Helper()
	state, err := c.router.Read(c.t.Context(), "shop")
	if err != nil {
		c.t.Fatal(err)
	}
	state.Static = true
	return state
}

// lists tells whether HAProxy has a server of that name.
func (c *haproxyCase) lists(name string) bool {
	c.t.Helper()
	conn, err := net.Dial("unix", c.program.socket)
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintln(conn, "show servers state shop")
	said, err := io.ReadAll(conn)
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.Contains(string(said), " "+name+" ")
}

// TestHAProxyForgets: without a folder it has nothing after a restart, says so, and has all when it is told again. What was
// there before has no part in it.
func TestHAProxyForgets(t *testing.T) {
	t.Parallel()
	c := newHAProxyCase(t, "")
	split := c.split(strategy.Percent(50))
	c.apply(split)
	c.program.restart()
	if state := c.read(); state.Has(split) {
		t.Errorf("after a restart it says that it has %+v", state.Splits)
	}
	c.apply(split)
	if got := c.users.Send("shop", 100); got["two"] != 50 {
		t.Errorf("at 50%% these answered: %v", got)
	}
}

// TestHAProxyDeletesServers: a server that left is deleted when nothing is open on it any more and its last counts were read;
// its allocation may come again.
func TestHAProxyDeletesServers(t *testing.T) {
	t.Parallel()
	c := newHAProxyCase(t, "")
	split := c.split(strategy.Full)
	c.apply(split)
	before := split
	if alloc, _ := c.users.Connect("shop"); alloc != "two" {
		t.Fatalf("at 100%% %q answered", alloc)
	}
	split.Canary = []strategy.Endpoint{c.services.Start("shop", "three")}
	c.apply(split)
	c.users.Send("shop", 10)
	last := split.Canary[0]
	split.Canary = []strategy.Endpoint{c.services.Start("shop", "four")}
	c.apply(split)
	look := func(when string, names map[string]bool) {
		t.Helper()
		c.read()
		for name, want := range names {
			if c.lists(name) != want {
				t.Errorf("%s there is a server %s: %t, want %t", when, name, !want, want)
			}
		}
	}
	look("at once", map[string]bool{"stable-one": true, "canary-two": true, "canary-three": true, "canary-four": true})
	sample, err := c.router.Sample(t.Context(), "shop")
	if err != nil || len(sample.Series) != 4 {
		t.Errorf("counters %+v, error %v, want four of them", sample.Series, err)
	}
	c.now = c.now.Add(6 * time.Second)
	// Connections that HAProxy keeps to a server are closed in a while, and hold it up.
	for deadline := time.Now().Add(time.Minute); c.lists("canary-three") && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		c.read()
	}
	look("later", map[string]bool{"stable-one": true, "canary-two": true, "canary-three": false, "canary-four": true})
	split.Canary = []strategy.Endpoint{last}
	c.apply(split)
	if got := c.users.Send("shop", 10); got["three"] != 10 {
		t.Errorf("the allocation that came again did not answer: %v", got)
	}
	c.apply(before)
	if got := c.users.Send("shop", 10); got["two"] != 10 {
		t.Errorf("the allocation whose server was there still did not answer: %v", got)
	}
}

// TestHAProxyWithoutCookie: where its configuration lacks the line that keeps users on their track, a canary gets none, the
// line is said, and everything but that works.
func TestHAProxyWithoutCookie(t *testing.T) {
	t.Parallel()
	c := newHAProxyCase(t, "")
	const line = "`cookie drover_shop insert indirect nocache httponly dynamic`"
	split := c.split(strategy.Percent(50))
	split.Sessions = "shop-1"
	for range 2 {
		if err := c.router.Apply(t.Context(), split); err == nil || !strings.Contains(err.Error(), line) {
			t.Fatalf("error %v, want it to name %s", err, line)
		}
		if state := c.read(); state.Has(split) || len(state.Splits[0].Canary) > 0 {
			t.Errorf("in effect is %+v", state.Splits)
		}
	}
	if lacks, err := c.router.Lacks(t.Context(), "shop", strategy.Plan{Sticky: true}); err != nil || !strings.Contains(lacks, line) {
		t.Errorf("lacks %q, error %v, want it to name %s", lacks, err, line)
	}
	if lacks, err := c.router.Lacks(t.Context(), "shop", strategy.Plan{}); err != nil || lacks != "" {
		t.Errorf("without sessions it lacks %q, error %v", lacks, err)
	}
	if lacks, err := c.router.Lacks(t.Context(), "nobody", strategy.Plan{}); err != nil || !strings.Contains(lacks, "add `backend nobody`") {
		t.Errorf("without a backend it lacks %q, error %v", lacks, err)
	}
	split.Sessions = ""
	c.apply(split)
	split.Sessions, split.Weight = "shop-1", strategy.Percent(20) // Less is obeyed all the same.
	if err := c.router.Apply(t.Context(), split); err == nil || !strings.Contains(err.Error(), line) {
		t.Fatalf("error %v, want it to name %s", err, line)
	}
	if got := c.users.Send("shop", 100); got["two"] != 20 {
		t.Errorf("at 20%% these answered: %v", got)
	}
	if state := c.read(); state.Has(split) {
		t.Errorf("it says that it keeps users: %+v", state.Splits)
	}
}

// TestHAProxyFile: another Drover knows from the file what is in effect; what somebody writes into it is reported, and undone;
// many allocations have room in it.
func TestHAProxyFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	c := newHAProxyCase(t, folder)
	split := c.split(strategy.Percent(50))
	for i := range 60 {
		split.Stable = append(split.Stable, strategy.Endpoint{Alloc: fmt.Sprintf("stable-of-many-%060d", i), Address: split.Stable[0].Address})
	}
	c.apply(split)
	another, err := haproxy.New(haproxy.Options{Name: "edge", Sockets: []string{c.program.api}, Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	state, err := another.Read(t.Context(), "shop")
	if err != nil || !state.Has(split) {
		t.Errorf("another Drover has %+v, error %v", state.Splits, err)
	}
	path := filepath.Join(folder, "shop.cfg")
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, content := range map[string]string{"changed": strings.Replace(string(written), "canary-two", "canary-ten", 1), "emptied": ""} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if state := c.read(); state.Has(split) {
			t.Errorf("a file that somebody %s is in effect", what)
		}
		c.apply(split)
		if again, err := os.ReadFile(path); err != nil || string(again) != string(written) {
			t.Errorf("a file that somebody %s was not written again, error %v", what, err)
		}
	}
	c.program.reload()
	if state := c.read(); !state.Has(split) {
		t.Errorf("after a reload it has %+v", state.Splits)
	}
	if lacks, err := c.router.Lacks(t.Context(), "shop", strategy.Plan{}); err != nil || lacks != "" {
		t.Errorf("it lacks %q, error %v", lacks, err)
	}
	nowhere, err := haproxy.New(haproxy.Options{Name: "edge", Sockets: []string{c.program.api}, Folder: filepath.Join(folder, "drover")})
	if err != nil {
		t.Fatal(err)
	}
	if lacks, err := nowhere.Lacks(t.Context(), "shop", strategy.Plan{}); err != nil || !strings.Contains(lacks, "make that folder") {
		t.Errorf("without its folder it lacks %q, error %v", lacks, err)
	}
}

// TestHAProxyTakesUsersOver: users of an allocation that is replaced stay on their track, and so they do when that which took
// them over is replaced, too. Each time another Drover does it. When nobody is left on the track, they are served by the other.
func TestHAProxyTakesUsersOver(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	c := newHAProxyCase(t, folder, keepsUsers)
	split := strategy.Split{Release: "shop", Namespace: "default", Service: "shop", Weight: strategy.Percent(50), Sessions: "shop-1"}
	start := func(name string) strategy.Endpoint { return c.services.Start("shop", name) }
	for i := range 3 {
		split.Stable = append(split.Stable, start(fmt.Sprintf("stable%d", i)))
		split.Canary = append(split.Canary, start(fmt.Sprintf("canary%d", i)))
	}
	c.apply(split)
	type user struct {
		ask   func(string) string
		track string
	}
	var users []user
	on := map[string]int{}
	for range 60 {
		ask := c.users.NewUser()
		at := ask("shop")
		on[at]++
		users = append(users, user{ask, at[:6]})
	}
	if len(on) != 6 {
		t.Fatalf("users are on %v, want some on each", on)
	}
	stay := func(when string) {
		t.Helper()
		for range 2 {
			for _, u := range users {
				if at := u.ask("shop"); at[:6] != u.track {
					t.Errorf("%s a user of %s was answered by %s", when, u.track, at)
				}
			}
		}
	}
	stay("at first")
	for i := range 6 {
		another, err := haproxy.New(haproxy.Options{Name: "edge", Sockets: []string{c.program.api}, Folder: folder, Now: func() time.Time { return c.now }})
		if err != nil {
			t.Fatal(err)
		}
		c.router = another
		split.Canary = append(split.Canary[1:], start(fmt.Sprintf("canary%d", 3+i)))
		if i%2 == 0 {
			split.Stable = append(split.Stable[1:], start(fmt.Sprintf("stable%d", 3+i)))
		}
		c.apply(split)
		stay(fmt.Sprintf("after %d replacements", i+1))
		c.read()
		c.now = c.now.Add(6 * time.Second)
		c.read() // Servers that left are deleted now, unless a connection to them is kept still.
	}
	split.Canary = nil
	c.apply(split)
	for _, u := range users {
		if at := u.ask("shop"); at[:6] != "stable" {
			t.Errorf("without canaries a user was answered by %q", at)
		}
	}
}

// TestHAProxyTakesNoCommands: what an allocation is called, and where it is, goes into commands as it is.
func TestHAProxyTakesNoCommands(t *testing.T) {
	t.Parallel()
	router, err := haproxy.New(haproxy.Options{Name: "edge", Sockets: []string{"unix:/nowhere"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []strategy.Endpoint{{Alloc: "one", Address: "127.0.0.1:80;shutdown sessions server shop/two"}, {Alloc: "one\nset", Address: "127.0.0.1:80"}, {Alloc: "one"}} {
		err := router.Apply(t.Context(), strategy.Split{Release: "shop", Stable: []strategy.Endpoint{e}})
		if err == nil || !strings.Contains(err.Error(), "is no allocation and address") {
			t.Errorf("%+v: error %v", e, err)
		}
	}
}

// TestHAProxyBackendOfAnother: a release without a route does not take the backend that another one has by its route.
func TestHAProxyBackendOfAnother(t *testing.T) {
	t.Parallel()
	c := newHAProxyCase(t, "")
	router, err := haproxy.New(haproxy.Options{Name: "edge", Sockets: []string{c.program.api}, Backends: map[string]string{"basket": "shop"}})
	if err != nil {
		t.Fatal(err)
	}
	split := c.split(strategy.Percent(50))
	if err := router.Apply(t.Context(), split); err == nil || !strings.Contains(err.Error(), `its backend "shop" is that of release "basket"`) {
		t.Errorf("error %v", err)
	}
	split.Release = "basket"
	if err := router.Apply(t.Context(), split); err != nil {
		t.Error(err)
	}
}
