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
// # Strategies
//
// Strategy "canary" raises the weight in steps and promotes after the last. Strategy "blue-green" switches all traffic at
// once, observes it for its bake, and then keeps the old revision beside the new one for its standby (default 10m, "0s" for
// none), so that going back is instant:
//
//	strategy "blue-green" {
//	  bake      = "5m"       # of the switch
//	  standby   = "1h"
//	  weights   = [10, 50]   # before the switch, each below 100; none by default
//	  step_bake = "2m"       # of each of these; as bake by default
//	}
//
// It becomes a plan whose last step is 100%. Blocks step { weight, bake } may stand in place of weights and step_bake. Its
// canaries are always full, because they take all traffic while the old revision still runs. The bakes and the standby
// together stay below max_duration.
//
// # Smoke checks
//
// A smoke block, in a policy or a release, is a request that every canary must answer as expected before any of them gets
// traffic. As with gates a release overrides those of its policy by label, each as a whole, and enabled = false removes one.
//
//	smoke "home" {
//	  path    = "/healthz"               # required; may carry a query
//	  status  = 200                      # 100 to 599, default 200
//	  header  = { X-Version = "1.2" }    # what the answer must have, compared exactly
//	  body    = "\"ok\": *true"          # regular expression (RE2) that the body must match somewhere
//	  timeout = "2s"                     # of one try, default 2s, at most 1m
//	  retries = 2                        # tries after the first, 0 to 10, default 0
//	}
//
// # Holding a weight
//
// A release may say hold_at = "25%" (or 25; 0 to 100): a rollout under way does not go beyond that weight, and goes on when
// the line is removed. It is no part of the plan, which is frozen when the rollout starts.
//
// # How it is written
//
// Each type of block has a function that decodes it, with its schema beside it. Such a function goes on after a
// mistake, so that one pass reports them all.
//
// Values are constants on purpose: a release that is computed cannot be reverted by restoring a file.
package policies
