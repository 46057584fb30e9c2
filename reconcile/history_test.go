package reconcile_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

// history writes down what people would see: one line a move, by the virtual clock.
type history struct {
	text  strings.Builder
	clock func() string

	mu     sync.Mutex
	lines  map[string][]string // of the present pass, by release
	shown  map[string]move     // the last one of each release
	errors string              // the last error of a pass
}

// move is what one line says.
type move struct {
	weight strategy.Weight
	held   bool
	code   strategy.ReasonCode
	text   string
}

func newHistory(clock func() string) *history {
	return &history{clock: clock, lines: map[string][]string{}, shown: map[string]move{}}
}

// remark writes a line of the script itself.
func (h *history) remark(text string) { fmt.Fprintf(&h.text, "%s  > %s\n", h.clock(), text) }

// decided notes what a decision changed. What it passed through on the way comes first. Releases are decided for at the
// same time.
func (h *history) decided(d reconcile.Decision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := d.After
	past := map[strategy.Event]bool{}
	for _, e := range d.Before.Timeline {
		past[e] = true
	}
	said := h.shown[r.Release]
	for _, e := range r.Timeline {
		if e.At.Equal(d.At) && !past[e] {
			h.line(r.Release, place(e.Phase, e.Step), e.Weight, e.Reason.Text)
			said.text, said.code, said.weight = e.Reason.Text, e.Reason.Code, e.Weight
		}
	}
	step := 0
	if r.Phase == strategy.Stepping {
		step = r.Step + 1
	}
	now := move{weight: r.Weight, held: r.Hold != nil, code: r.Reason.Code, text: r.Reason.Text}
	if now.code == strategy.Waiting || now.code == strategy.Baking {
		now.code = said.code // Progress is no move.
	}
	if now.weight != said.weight || now.held != said.held || now.code != said.code {
		if !strings.HasPrefix(now.text, strings.TrimSuffix(said.text, "…")) || said.text == "" || now.weight != said.weight {
			h.line(r.Release, place(r.Phase, step), r.Weight, r.Reason.Text)
		}
	} else {
		now.text = said.text
	}
	h.shown[r.Release] = now
}

func place(p strategy.Phase, step int) string {
	if p == strategy.Stepping {
		return fmt.Sprintf("step %d", step)
	}
	return string(p)
}

func (h *history) line(release, where string, weight strategy.Weight, text string) {
	line := fmt.Sprintf("%s  %-12s  %-9s %4s  %s\n", h.clock(), release, where, weight, text)
	h.lines[release] = append(h.lines[release], line)
}

// passed ends a pass: it writes what was decided, release by release.
func (h *history) passed(err error) {
	for _, release := range slices.Sorted(maps.Keys(h.lines)) {
		for _, line := range h.lines[release] {
			h.text.WriteString(line)
		}
	}
	clear(h.lines)
	h.failed(err)
}

// failed writes an error of a pass, once while it stays the same.
func (h *history) failed(err error) {
	text := ""
	if err != nil {
		text = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	if text != h.errors && text != "" {
		fmt.Fprintf(&h.text, "%s  ! %s\n", h.clock(), text)
	}
	h.errors = text
}

// end writes what is left at the end, for people and in the world.
func (w *world) end() string {
	var b strings.Builder
	b.WriteString("\ngit log\n")
	log, err := w.repo.Log(w.t.Context(), w.repo.head, 100)
	if err != nil {
		w.t.Fatalf("read the log: %v", err)
	}
	for _, c := range log {
		fmt.Fprintf(&b, "  %s  %-6s  %s\n", c.Short(), c.Author, c.Subject)
		for _, status := range w.forge.statuses[c.SHA] {
			fmt.Fprintf(&b, "           %-7s  %s: %s\n", status.State, status.Context, status.Text)
		}
	}
	for _, sha := range w.repo.drover {
		fmt.Fprintf(&b, "\ncommit %.7s\n%s", sha, indent(w.repo.commits[sha].message))
		for _, path := range slices.Sorted(maps.Keys(w.repo.commits[sha].tree)) {
			if parent := w.repo.commits[sha].parents[0]; !w.repo.same(sha, parent, path) {
				fmt.Fprintf(&b, "  M %s\n", path)
			}
		}
	}
	for _, issue := range w.forge.issues {
		fmt.Fprintf(&b, "\nissue %q %s\n%s", issue.Title, strings.Join(issue.Labels, ","), indent(issue.Body))
		for _, part := range w.forge.parts[issue.Marker][1:] {
			fmt.Fprintf(&b, "\nbelow it\n%s", indent(part.Body))
		}
	}
	for _, m := range w.loop.Mistakes() {
		fmt.Fprintf(&b, "\nmistake of %q at %s:%d: %s\n", m.Release, m.Path, m.Line, m.Text)
	}
	for _, name := range slices.Sorted(maps.Keys(w.loop.Rollouts())) {
		b.WriteString("\n" + w.state(name))
	}
	return b.String()
}

// state is one release as it stands.
func (w *world) state(name string) string {
	var b strings.Builder
	r := w.rollout(name)
	fmt.Fprintf(&b, "%s: %s, stable %s, last %s\n", name, r.Phase, orNone(r.Stable.Revision.Version), orNone(string(r.Last.Kind)))
	fmt.Fprintf(&b, "  says: %s\n", r.Reason.Text)
	if job := w.job(name); job == nil {
		b.WriteString("  job: none\n")
	} else {
		fmt.Fprintf(&b, "  job: version %d, runs %s x%d%s\n", *job.Version, versionOf(job), *job.TaskGroups[0].Count, map[bool]string{true: ", stopped"}[*job.Stop])
	}
	state, err := w.traffic.Read(w.t.Context(), name)
	if err != nil {
		w.t.Fatalf("read the split: %v", err)
	}
	s := state.Splits[0]
	fmt.Fprintf(&b, "  split: %s to %d canaries, rest to %d stable, resting %t\n", s.Weight, len(s.Canary), len(s.Stable), s.Resting)
	answered := w.traffic.Versions(name)
	for _, version := range slices.Sorted(maps.Keys(answered)) {
		fmt.Fprintf(&b, "  requests answered by %s: %.0f\n", version, answered[version])
	}
	if errors := w.unanswered(name); errors > 0 {
		fmt.Fprintf(&b, "  requests answered by nobody: %.0f\n", errors)
	}
	return b.String()
}

// unanswered is the requests that found nobody to answer them.
func (w *world) unanswered(name string) float64 {
	sample, err := w.traffic.Sample(w.t.Context(), name)
	if err != nil {
		w.t.Fatalf("read the counters: %v", err)
	}
	n := 0.0
	for _, s := range sample.Series {
		if s.Endpoint == "" { // Those of endpoints are counted beside all.
			n += s.Requests
		}
	}
	for _, answered := range w.traffic.Versions(name) {
		n -= answered
	}
	return n
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\n"); line != "" {
			line = "  " + line
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// clock is the time since the world began.
func (w *world) clock() string {
	s := int(w.now.Sub(w.start) / time.Second)
	return fmt.Sprintf("%02d:%02d", s/60, s%60)
}
