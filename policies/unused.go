package policies

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/drover-dev/drover/strategy"
)

// Stray is a policy of the repository that no release refers to.
type Stray struct {
	Name    string
	Path    string
	Line    int
	Finding strategy.Finding
}

// unusedPolicy is the code of the finding about one.
const unusedPolicy = "DRV023"

// Unused is the policies of a tree that no release of it refers to, wherever that stands, save those that accept it. While a
// release cannot be read, nobody knows what it refers to: then there are none.
func Unused(tree strategy.Tree) []Stray {
	l := &loader{tree: tree}
	l.load(Options{})
	if len(l.mistakes) > 0 {
		return nil
	}
	used := map[string]bool{}
	for _, r := range l.releases {
		used[r.Policy] = true
	}
	var strays []Stray
	for name, p := range l.catalog.byName {
		if _, accepted := p.settings.judgement.accepted[unusedPolicy]; accepted || used[name] || originOf(p.at).Line == 0 {
			continue
		}
		strays = append(strays, Stray{Name: name, Path: p.at.Filename, Line: p.at.Start.Line, Finding: strategy.Finding{
			Code: unusedPolicy, Text: fmt.Sprintf("no release refers to the policy %q: what it says holds for nobody", name), Remedy: "refer to it, or delete it",
		}})
	}
	slices.SortFunc(strays, func(a, b Stray) int { return cmp.Or(cmp.Compare(a.Path, b.Path), a.Line-b.Line) })
	return strays
}

// Strays is Unused for those who have a list of findings: each names the file.
func Strays(tree strategy.Tree) []strategy.Finding {
	var found []strategy.Finding
	for _, s := range Unused(tree) {
		f := s.Finding
		f.Text = s.Path + ": " + f.Text
		found = append(found, f)
	}
	return found
}
