package policies

import "slices"

// labelled is a block that a release overrides by its label, or removes with enabled = false.
type labelled interface {
	name() string
	off() bool
}

// overlay puts the rules of a release over those of its policy, each as a whole, and leaves out those that are off. Its own
// come after the policy's. The strays disable what is not there.
func overlay[R labelled](policy, release []R) (merged, strays []R) {
	all := slices.Clone(policy)
	for _, rule := range release {
		i := slices.IndexFunc(policy, func(r R) bool { return r.name() == rule.name() })
		switch {
		case i >= 0:
			all[i] = rule
		case rule.off():
			strays = append(strays, rule)
		default:
			all = append(all, rule)
		}
	}
	for _, rule := range all {
		if !rule.off() {
			merged = append(merged, rule)
		}
	}
	return merged, strays
}

func namesOf[R labelled](rules []R) []string {
	var names []string
	for _, rule := range rules {
		names = append(names, rule.name())
	}
	return names
}
