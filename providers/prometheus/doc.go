// Package prometheus answers the gates that have queries of their own, and those on how much of the machine allocations use,
// from a Prometheus server or what speaks its API.
//
// It decides how a query is asked for one track (the ids of its allocations take the place of ${allocs}, and the time since
// the last answer that of ${range}) and what an answer means: one number, none, or a mistake that says what to do. It leaves
// to strategy what the numbers amount to.
//
//	meter, err := prometheus.New(prometheus.Config{Address: "http://prometheus:9090"})
//	answers, err := meter.Measure(ctx, inquiry)
//
// # Counts
//
// A query that counts is asked for the time since it was last asked, and the answers are added up, so that they look like a
// counter that began with the rollout. The sum lives in the process: what happens while Drover is away is not counted, on
// either track. An answer that is missing is no zero, save where a track has no such series at all: who never failed has no
// series of failures.
//
// Invariants: an error says that nothing is known, and names the gate; both tracks of a gate are asked for the same time, or
// neither counts.
package prometheus
