// Package probe makes smoke checks over HTTP: it asks the canaries of a release, each at its own address, before they get
// any traffic. It decides whether an answer is as expected and how to quote one that is not. It leaves to others what is
// asked (policies), when, and what follows from a failure (strategy).
//
//	failed, err := probe.New(probe.Options{}).Smoke(ctx, plan.Smoke, canaries)
//
// Invariants:
//
//   - What a canary does is never an error: one that refuses the connection, does not answer in time or talks something
//     other than HTTP has failed the check, and is quoted. An error says that nothing can be known, because ctx ended.
//   - The same answers give the same quotation, whatever order they come in: the first failure by order of the checks, and
//     of the endpoints within a check.
//   - An answer is judged as it is: redirects are not followed, and of the body the first 64 KiB count.
//   - What a canary says is harmless to logs and terminals, and cannot end a code span: quoted, without control
//     characters and backticks, cut to 200.
package probe
