package nginx

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/drover-dev/drover/strategy"
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

// expected is how many copies are to have come when none did, before that is no chance: it is one in hundreds of millions.
const expected = 20

// counted is what was counted of a release when its copies began, by the checksum of the file that had them made.
type counted struct {
	sum           string
	users, copies float64
}

// uncopied is an error when users' requests of a release that are to be copied are not. Only the log says so.
func (r *Router) uncopied(split strategy.Split, sum string) error {
	if !copying(split) || r.options.Log == "" {
		delete(r.began, split.Release)
		return nil
	}
	name := strategy.Symbol(split.Release)
	users := r.tally.requests(upstream(name, strategy.Stable)) + r.tally.requests(upstream(name, strategy.Canary))
	copies := r.tally.requests(upstream(name, strategy.Shadow))
	began, known := r.began[split.Release]
	if !known || began.sum != sum || users < began.users { // The last when the log was lost and is heard anew.
		r.began[split.Release] = counted{sum: sum, users: users, copies: copies}
		return nil
	}
	if copies != began.copies || (users-began.users)*split.Copies.Percent.Share() < expected {
		return nil
	}
	mirror, copied := beside(r.options.File, split.Release)
	return fmt.Errorf("of %.0f requests none was copied, and %s are to be: are there any of %s among them, and are %s and %s included where they belong",
		users-began.users, split.Copies.Percent, strings.Join(split.Copies.Methods, ", "), mirror, copied)
}
