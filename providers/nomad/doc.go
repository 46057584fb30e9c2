// Package nomad is Drover's side of a HashiCorp Nomad cluster: it parses jobspecs, observes and registers jobs, and
// keeps Drover's records and splits in Nomad Variables. It decides what Nomad's objects mean (which allocation is a
// canary, which is ready, whose fault a failure is) and leaves to others what to do about it.
//
// A first call:
//
//	client, err := nomad.Connect(nomad.Config{}) // the NOMAD_* environment
//	cluster := nomad.New(client, nomad.Options{Instance: "drover"})
//	state, err := cluster.Observe(ctx, strategy.JobRef{Namespace: "default", ID: "checkout-api"}, "checkout-api")
//
// Invariants:
//
//   - Every change of a job is compare-and-set on its JobModifyIndex. ModifyIndex is never used for it: it moves
//     with the job's summary, and a registration without effect answers with it.
//   - A registration changes nothing of what the jobspec says but group counts and the update blocks. Meta and
//     environment are left alone: touching them would restart allocations.
//   - Jobs travel as the JSON that Nomad gave, not through structs of this program, so that fields of a newer Nomad
//     are neither lost nor misread.
//   - Who registered a version is read from the source that Nomad stores with it (marker.go), atomically with the
//     registration. A version without a source is known by an older one with the same content.
//   - Readiness is counted from live allocations and their checks; the counters of deployments only ever go up.
package nomad
