package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/providers/haproxy"
	"github.com/drover-dev/drover/providers/nginx"
	"github.com/drover-dev/drover/providers/proxy"
	"github.com/drover-dev/drover/providers/rendered"
	"github.com/drover-dev/drover/providers/replicas"
	"github.com/drover-dev/drover/providers/traefik"
	"github.com/drover-dev/drover/strategy"
)

// TestAbilitiesAreInTheManual compares the table of docs/traffic.md with what the routers declare, which the suite of routers
// holds them to.
func TestAbilitiesAreInTheManual(t *testing.T) {
	routers := map[string]interface{ Abilities() strategy.Abilities }{
		routerProxy: &proxy.Client{}, routerTemplate: &rendered.Router{}, routerTraefik: &traefik.Router{}, routerHAProxy: &haproxy.Router{}, routerNGINX: &nginx.Router{}, routerNone: &replicas.Router{},
	}
	copies, err := nginx.New(nginx.Options{Name: "edge", File: "edge.conf", Admin: "127.0.0.1:8081", Log: "127.0.0.1:8082", Copies: "127.0.0.1:8083"})
	if err != nil {
		t.Fatal(err)
	}
	entry, err := traefik.New(traefik.Options{Name: "edge", Copies: "127.0.0.1:8091"})
	if err != nil {
		t.Fatal(err)
	}
	with := map[string]map[string]interface{ Abilities() strategy.Abilities }{routerNGINX: {"with `copies`": copies}, routerTraefik: {"with `copies`": entry}}
	if diff := cmp.Diff(len(routers), len(routerTypes())); diff != "" {
		t.Fatalf("not every type of router is compared: %v", routerTypes())
	}
	rows := map[string]func(strategy.Abilities) bool{
		"`sessions = \"sticky\"`":            func(a strategy.Abilities) bool { return a.Sessions },
		"`shadow`":                           func(a strategy.Abilities) bool { return a.Copies },
		"tells what is open":                 func(a strategy.Abilities) bool { return a.Open },
		"closes it in order when time is up": func(a strategy.Abilities) bool { return a.Closes },
	}
	page, err := os.ReadFile("../../docs/traffic.md")
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) == len(routers)+1 && cells[0] == "" {
			kinds = cells[1:]
		}
		can, compared := rows[cells[0]]
		if !compared {
			continue
		}
		delete(rows, cells[0])
		for i, kind := range kinds {
			router, known := routers[strings.Trim(kind, "`")]
			if !known {
				t.Fatalf("the table has a column %s, which is no type of router", kind)
			}
			want := map[bool]string{true: "yes", false: "no"}[can(router.Abilities())]
			for words, configured := range with[strings.Trim(kind, "`")] {
				if can(configured.Abilities()) && want == "no" {
					want = words
				}
			}
			if cells[i+1] != want {
				t.Errorf("%s, %s: the manual says %s, the router %s", kind, cells[0], cells[i+1], want)
			}
		}
	}
	if len(rows) > 0 {
		t.Errorf("the manual has no rows for %d abilities: %v", len(rows), rows)
	}
}
