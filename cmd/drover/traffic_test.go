package main

import (
	"fmt"
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

// The tables of docs/traffic.md. The suite of routers writes what it found between the first marks, and this test what
// routers can do between the others.
const (
	trafficPage    = "../../docs/traffic.md"
	foundBegin     = "<!-- routers: written by make router-table -->"
	foundEnd       = "<!-- routers: end -->"
	abilitiesBegin = "<!-- abilities: written by make router-table -->"
	abilitiesEnd   = "<!-- abilities: end -->"
	// tableVariable names the environment variable that has this test write its table.
	tableVariable = "DROVER_ROUTER_TABLE"
)

// able is anything that declares what it can do.
type able interface{ Abilities() strategy.Abilities }

// manualRouter is a router as the manual has it.
type manualRouter struct {
	kind string
	able able            // with nothing configured that it can do without
	with map[string]able // and with something, by how the manual says that
	// share is said by hand: what words there are for it depends on who draws.
	share string
}

// manualRows are what the manual says of each, with the column of the suite's own table that shows it; "" for none.
var manualRows = []struct {
	name, column string
	can          func(strategy.Abilities) bool
}{
	{"counts requests by track", "counts", func(a strategy.Abilities) bool { return a.Counts }},
	{"counts how long they took", "latencies", func(a strategy.Abilities) bool { return a.Latency }},
	{"follows Nomad by itself", "", func(a strategy.Abilities) bool { return !a.Static && !a.Replicas }},
	{"`sessions = \"sticky\"`", "sticky", func(a strategy.Abilities) bool { return a.Sessions }},
	{"`shadow`", "copies", func(a strategy.Abilities) bool { return a.Copies }},
	{"tells what is open", "connection drain", func(a strategy.Abilities) bool { return a.Open }},
	{"closes it in order when time is up", "", func(a strategy.Abilities) bool { return a.Closes }},
}

func manualRouters(t *testing.T) []manualRouter {
	t.Helper()
	made := func(router able, err error) able {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return router
	}
	withNGINX := func(o nginx.Options) able {
		o.Name, o.File, o.Admin = "edge", "edge.conf", "127.0.0.1:8081"
		router, err := nginx.New(o)
		return made(router, err)
	}
	entry, err := traefik.New(traefik.Options{Name: "edge", Copies: "127.0.0.1:8091"})
	copying := made(entry, err)
	job, err := rendered.New(rendered.Options{Name: "edge", Job: "edge", Sticky: true})
	sticky := made(job, err)
	return []manualRouter{
		{kind: routerProxy, able: &proxy.Client{}, share: "exact"},
		{kind: routerTemplate, able: &rendered.Router{}, with: map[string]able{"with `sticky`": sticky}, share: "as the balancer draws it; NGINX and HAProxy by chance, in steps of 0.01%"},
		{kind: routerTraefik, able: &traefik.Router{}, with: map[string]able{"with `copies`": copying}, share: "exact"},
		{kind: routerHAProxy, able: &haproxy.Router{}, share: "exact, in 256 levels"},
		{
			kind: routerNGINX, able: &nginx.Router{}, share: "by chance, in steps of 0.01%",
			with: map[string]able{"with `log`": withNGINX(nginx.Options{Log: "127.0.0.1:8082"}), "with `copies`": withNGINX(nginx.Options{Copies: "127.0.0.1:8083"})},
		},
		{kind: routerNone, able: &replicas.Router{}, share: "what the allocations are of all"},
	}
}

// TestAbilitiesAreInTheManual makes the table of abilities from what the routers declare and from what the suite of routers, which
// holds them to that, found. It compares it with that of docs/traffic.md, or writes it there.
func TestAbilitiesAreInTheManual(t *testing.T) {
	routers := manualRouters(t)
	if diff := cmp.Diff(len(routers), len(routerTypes())); diff != "" {
		t.Fatalf("not every type of router is in the manual: %v", routerTypes())
	}
	page, err := os.ReadFile(trafficPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, marked := strings.Cut(string(page), abilitiesBegin)
	old, after, ends := strings.Cut(rest, abilitiesEnd)
	if !marked || !ends {
		t.Fatalf("%s has no table between %q and %q", trafficPage, abilitiesBegin, abilitiesEnd)
	}
	found := readFound(t, string(page))
	head, line, shares := []string{""}, []string{"---"}, []string{"share"}
	for _, r := range routers {
		head, line, shares = append(head, "`"+r.kind+"`"), append(line, "---"), append(shares, r.share)
	}
	rows := []string{tableRow(head), tableRow(line), tableRow(shares)}
	for _, row := range manualRows {
		cells := []string{row.name}
		for _, r := range routers {
			cells = append(cells, r.cell(row.can, found[r.kind], row.column))
		}
		rows = append(rows, tableRow(cells))
	}
	fresh := "\n" + strings.Join(rows, "\n") + "\n"
	if os.Getenv(tableVariable) != "" {
		if err := os.WriteFile(trafficPage, []byte(before+abilitiesBegin+fresh+abilitiesEnd+after), 0o644); err != nil { //nolint:gosec // A page of the manual.
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(fresh, old); diff != "" {
		t.Errorf("the table of abilities in %s is not as it would be made; run make router-table, or this test with %s=1 (-made +manual):\n%s", trafficPage, tableVariable, diff)
	}
}

func tableRow(cells []string) string { return "| " + strings.Join(cells, " | ") + " |" }

// cell says whether a router can do something, with what has to be configured for it, and whether the suite has shown it.
func (r manualRouter) cell(can func(strategy.Abilities) bool, found []map[string]string, column string) string {
	said := "no"
	if can(r.able.Abilities()) {
		said = "yes"
	} else {
		for words, router := range r.with {
			if can(router.Abilities()) {
				said = words
			}
		}
	}
	if said == "no" || column == "" {
		return said
	}
	for _, row := range found {
		if row[column] == "yes" {
			return said
		}
	}
	return said + ", not shown by the suite"
}

// readFound reads what the suite found: for each kind of router the rows of its table, by the heads of their columns.
func readFound(t *testing.T, page string) map[string][]map[string]string {
	t.Helper()
	_, rest, _ := strings.Cut(page, foundBegin)
	table, _, ends := strings.Cut(rest, foundEnd)
	if !ends {
		t.Fatalf("%s has no table between %q and %q", trafficPage, foundBegin, foundEnd)
	}
	var heads []string
	found := map[string][]map[string]string{}
	for line := range strings.Lines(strings.TrimSpace(table)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		row := map[string]string{}
		for i, cell := range cells {
			cell = strings.TrimSpace(cell)
			cells[i] = cell
			if heads != nil && i < len(heads) {
				row[heads[i]] = cell
			}
		}
		if heads == nil {
			heads = cells
			continue
		}
		var kind string
		if _, err := fmt.Sscanf(strings.ReplaceAll(cells[0], "`", " "), "%s", &kind); err == nil {
			found[kind] = append(found[kind], row)
		}
	}
	return found
}
