// Package policies turns the HCL of a release repository into strategy values, and what is wrong with it into
// mistakes. It decides what may be written in release.hcl and in policy files, what each value means, how a release is
// completed from its policy and from the built-in defaults, and which policies are shipped with Drover.
//
// It leaves to others: where the files come from, what the jobspec says (Nomad parses it), whether the router that a
// release names exists, and whether the job can go through the plan (strategy.Plan.For).
//
//	releases, mistakes := policies.Load(tree, policies.Options{Path: "releases"})
//
// Invariants:
//
//   - a release is returned only when nothing at all is wrong with it, with its policy and with its var files;
//   - a mistake in one release takes nothing from the others, and all mistakes are reported at once;
//   - the same tree gives the same answer: the package reads no clock, does no I/O and logs nothing;
//   - whatever the files hold, Load returns: size, nesting and number are bounded, and values are constants.
//
// Each type of block has a function that decodes it, with its schema beside it. Such a function goes on after a
// mistake, so that one pass reports them all.
//
// Values are constants on purpose: a release that is computed cannot be reverted by restoring a file.
package policies
