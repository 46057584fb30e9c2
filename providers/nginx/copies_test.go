package nginx_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/providers/nginx"
	"github.com/drover-dev/drover/strategy"
)

// copied is a split with copies of a tenth of the requests.
func copied(release string) strategy.Split {
	return strategy.Split{
		Release: release, Namespace: "default", Service: release, Copies: &strategy.Copies{Percent: strategy.Percent(10), Methods: []string{"GET"}},
		Stable: []strategy.Endpoint{{Alloc: "a", Address: "10.0.0.1:80"}}, Canary: []strategy.Endpoint{{Alloc: "b", Address: "10.0.0.2:80"}},
	}
}

// loaded answers as an NGINX that has loaded the file.
func loaded(t *testing.T, file string) (address string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		first, _, _ := strings.Cut(read(t, file), "\n")
		fmt.Fprint(w, first[strings.LastIndex(first, " ")+1:])
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// TestFilesBeside: what NGINX includes for copies is changed by hand, taken away, and put back.
func TestFilesBeside(t *testing.T) {
	dir := t.TempDir()
	file, mirror, copies := filepath.Join(dir, "edge.conf"), filepath.Join(dir, "edge.shop.mirror"), filepath.Join(dir, "edge.shop.copy")
	now := time.Now()
	options := nginx.Options{
		Name: "edge", File: file, Admin: loaded(t, file), Copies: "127.0.0.1:2", Test: []string{"true"}, Reload: []string{"true"},
		Now: func() time.Time { now = now.Add(time.Second); return now },
	}
	router, err := nginx.New(options)
	if err != nil {
		t.Fatal(err)
	}
	if err := router.Prepare("shop"); err != nil {
		t.Fatal(err)
	}
	if text := read(t, mirror); strings.Contains(text, "\nmirror") {
		t.Errorf("at rest requests are mirrored:\n%s", text)
	}
	inEffect := func() bool {
		var has bool
		for range 2 { // What is seen for the first time is in effect a moment later.
			state, err := router.Read(t.Context(), "shop")
			if err != nil {
				t.Fatal(err)
			}
			has = state.Has(copied("shop"))
		}
		return has
	}
	if err := router.Apply(t.Context(), copied("shop")); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{mirror: read(t, mirror), copies: read(t, copies)}
	if !strings.Contains(want[mirror], "\nmirror /drover-copy-shop;\nmirror_request_body off;\n") || !inEffect() {
		t.Errorf("the copies are not in effect, or not written:\n%s", want[mirror])
	}
	for path, text := range want {
		for name, change := range map[string]func() error{
			"changed": func() error { return errors.Join(os.WriteFile(path, []byte(text+"#\n"), 0o600), os.Chmod(path, 0o600)) },
			"removed": func() error { return os.Remove(path) },
		} {
			if err := change(); err != nil {
				t.Fatal(err)
			}
			if inEffect() {
				t.Errorf("%s is %s, and the split said to be in effect", path, name)
			}
			if err := router.Apply(t.Context(), copied("shop")); err != nil {
				t.Fatal(err)
			}
			if got := read(t, path); got != text || !inEffect() {
				t.Errorf("%s was %s, and is not what it was:\n%s", path, name, got)
			}
			if info, err := os.Stat(path); err != nil || info.Mode() != 0o644 {
				t.Errorf("%s was %s, and is not for all to read: %v, %v", path, name, info, err)
			}
		}
	}

	options.Test = []string{"false"}
	refusing, err := nginx.New(options)
	if err != nil {
		t.Fatal(err)
	}
	without := copied("shop")
	without.Copies = nil
	if err := refusing.Apply(t.Context(), without); err == nil {
		t.Error("a configuration that NGINX does not accept is accepted")
	}
	if diff := cmp.Diff(want, map[string]string{mirror: read(t, mirror), copies: read(t, copies)}); diff != "" || !inEffect() {
		t.Errorf("what was refused is not put back (-want +got):\n%s", diff)
	}
}

// TestCopiesThatNeverCome: a router whose log tells of users' requests alone, of which some are to be copied, says so.
func TestCopiesThatNeverCome(t *testing.T) {
	file := filepath.Join(t.TempDir(), "edge.conf")
	probe, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := probe.LocalAddr().String()
	probe.Close()
	now := time.Now()
	router, err := nginx.New(nginx.Options{
		Name: "edge", File: file, Admin: loaded(t, file), Log: address, Copies: "127.0.0.1:2", Test: []string{"true"}, Reload: []string{"true"},
		Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	heard := make(chan error, 1)
	go func() { heard <- router.Hear(ctx) }()
	defer func() { cancel(); <-heard }()
	conn, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sample := func() strategy.Sample {
		for range 3000 {
			if s, err := router.Sample(t.Context(), "shop"); err == nil {
				return s
			}
			<-time.After(10 * time.Millisecond)
		}
		t.Fatal("after 30s the log is not heard")
		return strategy.Sample{}
	}
	sample()
	// tell has the log say n times what upstream answered, and waits until all of it is counted.
	total := 0.0
	all := func() (counted float64) {
		for _, series := range sample().Series {
			counted += series.Requests
		}
		return counted
	}
	tell := func(upstream string, n int) {
		t.Helper()
		for range n {
			total++
			if _, err := fmt.Fprintf(conn, "<190>Nov 25 01:31:09 drover: drover-shop-%s 200 0.004 0.004", upstream); err != nil {
				t.Fatal(err)
			}
			for tries := 0; all() != total; tries++ { // One at a time: none is lost.
				if tries == 30000 {
					t.Fatalf("after 30s not all of the log's %.0f lines are counted", total)
				}
				<-time.After(time.Millisecond)
			}
		}
	}
	tell("stable", 250) // Before copies were asked for.
	if err := router.Apply(t.Context(), copied("shop")); err != nil {
		t.Fatal(err)
	}
	look := func() error {
		_, err := router.Read(t.Context(), "shop")
		return err
	}
	if err := look(); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Second)
	if err := look(); err != nil {
		t.Fatal(err)
	}
	tell("stable", 199)
	if err := look(); err != nil {
		t.Errorf("after 199 requests: %v, want no error yet", err)
	}
	tell("stable", 1)
	if err := look(); err == nil || !strings.Contains(err.Error(), "of 200 requests none was copied, and 10% are to be") {
		t.Errorf("after 200 requests without a copy: %v, want an error that says so", err)
	}
	tell("shadow", 1)
	if err := look(); err != nil {
		t.Errorf("with a copy: %v, want no error", err)
	}
	if s := sample(); len(s.Series) != 3 || s.Series[2].Track != strategy.Shadow || s.Series[2].Requests != 1 {
		t.Errorf("counted are %+v, want one copy by itself", s.Series)
	}
}
