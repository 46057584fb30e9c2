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

// found is what the suite found out about a router.
type found struct {
	share, changes, way, restart string
	finest                       string
}

// row is what the table says of a router that passed.
func (f *found) row(h RouterHarness) string {
	yes := func(can bool) string {
		if can {
			return "yes"
		}
		return "no"
	}
	or := func(text string) string {
		if text == "" {
			return "not measured"
		}
		return text
	}
	a := h.Router.Abilities()
	name := "`" + a.Kind + "`"
	if h.With != "" {
		name += " with " + h.With
	}
	cells := []string{
		name, or(f.share), or(f.finest), or(f.changes), or(f.way), or(f.restart),
		yes(h.Meter != nil && a.Counts), yes(h.Meter != nil && a.Latency), yes(a.Sessions && h.NewUser != nil), yes(a.Open && h.Connect != nil), yes(h.Copied != nil),
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

// writeRow puts a row into the table of a file, in place of the one of the same router.
func writeRow(t *testing.T, path, row string) {
	t.Helper()
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
