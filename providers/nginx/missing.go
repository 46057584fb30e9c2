package nginx

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
)

// dumped begins the line before each file of a configuration that NGINX prints.
const dumped = "# configuration file "

// Missing is what NGINX's own configuration lacks so that requests of the release can be copied, in words, by what it prints
// of itself: the command that tests it is run with -T in place of -t. Where there is none such, or it fails, nothing is known
// to be missing.
func (r *Router) Missing(ctx context.Context, release string) (words []string) {
	if r.options.Copies == "" {
		return nil
	}
	at := slices.Index(r.options.Test, "-t")
	if at < 0 {
		return nil
	}
	command := slices.Clone(r.options.Test)
	command[at] = "-T"
	said, err := output(ctx, command)
	if err != nil {
		return nil
	}
	loads := map[string]bool{}
	for line := range strings.Lines(string(said)) {
		if path, ok := strings.CutPrefix(line, dumped); ok {
			loads[strings.TrimSuffix(strings.TrimSpace(path), ":")] = true
		}
	}
	if len(loads) == 0 {
		return nil
	}
	mirror, copied := beside(r.options.File, release)
	if !includes(loads, mirror) {
		words = append(words, fmt.Sprintf("add `include %s;` to the location of NGINX that passes requests to %s on", mirror, Variable(release)))
	}
	if !includes(loads, copied) {
		words = append(words, fmt.Sprintf("add `location = %s%s { include %s; }` to the same server", mirrored, release, copied))
	}
	return words
}

// includes tells whether a file is among these, under whatever name.
func includes(loads map[string]bool, path string) bool {
	if loads[path] {
		return true
	}
	wanted, err := os.Stat(path)
	if err != nil {
		return false
	}
	for other := range loads {
		if info, err := os.Stat(other); err == nil && os.SameFile(info, wanted) {
			return true
		}
	}
	return false
}
