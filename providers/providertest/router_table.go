package providertest

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// tableVariable names the environment variable of the file that the suite writes what it found into, between these marks: a
// row for each router that it was held to, in full.
const (
	tableVariable = "DROVER_ROUTER_TABLE"
	tableBegin    = "<!-- routers: written by make router-table -->"
	tableEnd      = "<!-- routers: end -->"
	tableHead     = "| router | share at 5% | finest share | failed of requests in 100 changes, on kept connections and on new ones | from asking for 0% to the canary's last request | started anew | counts | latencies | sticky | connection drain | copies |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
)

// RouterRow is what was found out about a router, as a row of the table. What is "" was not measured.
type RouterRow struct {
	Router string // its kind, and which balancer it was tried with

	Share   string // that arrived at 5%
	Finest  string
	Changes string // how many requests failed while they were made
	Way     string // from asking for 0% to the canary's last request
	Restart string // what becomes of its split when it is started anew

	Counts, Latencies, Sticky, Drain, Copies bool // whether it was seen to do so
}

// line is the row in the table.
func (r RouterRow) line() string {
	cells := []string{r.Router}
	for _, text := range []string{r.Share, r.Finest, r.Changes, r.Way, r.Restart} {
		if text == "" {
			text = "not measured"
		}
		cells = append(cells, text)
	}
	for _, can := range []bool{r.Counts, r.Latencies, r.Sticky, r.Drain, r.Copies} {
		cells = append(cells, map[bool]string{true: "yes", false: "no"}[can])
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

// saw notes what the suite held a router to.
func (r *RouterRow) saw(h RouterHarness) {
	a := h.Router.Abilities()
	r.Router = "`" + a.Kind + "`"
	if h.With != "" {
		r.Router += " with " + h.With
	}
	r.Counts, r.Latencies = h.Meter != nil && a.Counts, h.Meter != nil && a.Latency
	r.Sticky, r.Drain, r.Copies = a.Sessions && h.NewUser != nil, a.Open && h.Connect != nil, h.Copied != nil
}

// Write puts the row into the table, in place of the one of the same router, where a table is being made.
func (r RouterRow) Write(t *testing.T) {
	t.Helper()
	path := os.Getenv(tableVariable)
	if path == "" || t.Failed() {
		return
	}
	row := r.line()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("write the table of routers: %v", err)
	}
	table := regexp.MustCompile(`(?s)` + regexp.QuoteMeta(tableBegin) + `.*` + regexp.QuoteMeta(tableEnd))
	old := table.FindString(string(text))
	if old == "" {
		t.Fatalf("%s has no table of routers, between %q and %q", path, tableBegin, tableEnd)
	}
	name, _, _ := strings.Cut(row, " | ")
	rows := []string{row}
	for line := range strings.Lines(old) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "| `") && !strings.HasPrefix(line, name+" | ") {
			rows = append(rows, line)
		}
	}
	slices.Sort(rows)
	fresh := fmt.Sprintf("%s\n%s%s\n%s", tableBegin, tableHead, strings.Join(rows, "\n"), tableEnd)
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), old, fresh, 1)), 0o644); err != nil { //nolint:gosec // A page of the manual.
		t.Fatalf("write the table of routers: %v", err)
	}
}
