package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/drover-dev/drover/policies"
	"github.com/drover-dev/drover/strategy"
)

// runPolicies shows the policies that are shipped: all of them in short, or the source of one.
func runPolicies(_ context.Context, c *console, args []string) int {
	f := c.flags("policies", "policies [NAME]\n\nWithout a name: what is shipped. With one: its source, to read or to copy into a policies folder.")
	if code, done := parse(f, args); done {
		return code
	}
	shipped := policies.Builtin()
	names := slices.Sorted(maps.Keys(shipped))
	switch f.NArg() {
	case 0:
		return listPolicies(c, names, shipped)
	case 1:
		name := f.Arg(0)
		if !strings.Contains(name, "/") {
			name = "builtin/" + name
		}
		source, found := shipped[name]
		if !found {
			return c.fail(fmt.Errorf("no policy %q is shipped%s", f.Arg(0), strategy.Meant(name, names)))
		}
		c.printf("%s", source)
		return 0
	}
	f.Usage()
	return 1
}

func listPolicies(c *console, names []string, shipped map[string][]byte) int {
	w := tabwriter.NewWriter(c.out, 0, 0, 3, ' ', 0)
	for _, name := range names {
		fmt.Fprintf(w, "%s\t%s\n", name, about(string(shipped[name])))
	}
	if err := w.Flush(); err != nil {
		return c.fail(err)
	}
	return 0
}

// about is the first sentence of the comment at the head of a policy.
func about(source string) string {
	var words []string
	for line := range strings.Lines(source) {
		text, comment := strings.CutPrefix(line, "#")
		if !comment {
			break
		}
		words = append(words, strings.TrimSpace(text))
	}
	sentence, _, _ := strings.Cut(strings.Join(words, " "), ". ")
	return strings.TrimSuffix(sentence, ".")
}
