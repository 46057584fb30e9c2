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

// Lacks is what NGINX's own configuration lacks so that requests of a release whose plan has a shadow can be copied, with the
// lines to add, by what it prints of itself: the command that tests it is run with -T in place of -t. Where there is none such,
// or it fails, nothing is known to be lacking.
func (r *Router) Lacks(ctx context.Context, release string, plan strategy.Plan) (string, error) {
	if plan.Shadow == nil || r.options.Copies == "" {
		return "", nil
	}
	return r.lacksIncludes(ctx, release), nil
}

// lacksIncludes is the same, for when copies are known to be wanted.
func (r *Router) lacksIncludes(ctx context.Context, release string) string {
	at := slices.Index(r.options.Test, "-t")
	if at < 0 {
		return ""
	}
	command := slices.Clone(r.options.Test)
	command[at] = "-T"
	said, err := output(ctx, command)
	if err != nil {
		return ""
	}
	loads := map[string]bool{}
	for line := range strings.Lines(string(said)) {
		if path, ok := strings.CutPrefix(line, dumped); ok {
			loads[strings.TrimSuffix(strings.TrimSpace(path), ":")] = true
		}
	}
	if len(loads) == 0 {
		return ""
	}
	mirror, copied := beside(r.options.File, release)
	where := "its location that passes requests to " + Variable(release) + " on"
	var add []string
	if !includes(loads, mirror) {
		add, where = append(add, fmt.Sprintf("`include %s;` to %s", mirror, where)), "it"
	}
	if !includes(loads, copied) {
		add = append(add, fmt.Sprintf("`location = %s%s { include %s; }` beside %s", mirrored, release, copied, where))
	}
	if len(add) == 0 {
		return ""
	}
	return fmt.Sprintf("NGINX cannot copy requests of %q: add %s", release, strings.Join(add, ", and "))
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
