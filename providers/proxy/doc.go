// Package proxy is Drover's own router: a reverse proxy that divides the requests of each release between its tracks
// as a split says, and counts what became of them; and the client by which Drover publishes splits and reads back
// what is in effect and what was counted.
//
// The two halves share this package because they share a protocol: GET /splits and GET /metrics of the admin handler.
//
//	p, err := proxy.New(proxy.Options{Instance: "edge-1"})
//	go p.Serve(ctx, traffic, nil)
//	go http.Serve(admin, p.Admin())
//	go p.Follow(ctx, directory) // health checks and registrations
//	p.Set(splits)               // whenever the published splits changed
//
// The proxy decides which endpoint answers a request, and nothing else: weights and tracks come with the split.
//
// How a request finds its endpoint:
//
//   - The share is exact, not random. With weight w, of the first n requests after the weight changed the canary gets
//     n*w whenever that is a whole number and n a multiple of the weight's period (20 requests at 5%, 1000 at 0.1%).
//     Within a period the canary's places are mixed, so that traffic with a rhythm of its own does not always send
//     the same kind of request to the canary.
//   - Within the track the endpoint with the fewest requests under way answers, in turns among equals. One whose check
//     fails is left out unless all of its track fail; one that refused a connection is left out for a second.
//   - A canary that is empty or has no endpoint left leaves its requests to stable. Never the other way round: a canary
//     gets its weight and no more, so a stable track without endpoints answers 503, and that is an error of stable.
//     (At 100% the canary takes all anyway.)
//   - An endpoint that cannot be connected to is replaced by another of its track; so is, for idempotent methods
//     without a body, one that breaks off before it answered. When all of a canary's refused, and nothing was sent to
//     any, stable answers: the request counts there, and as one that the canary left. The client sees 502 when none is
//     left, 504 when the answer takes too long.
//
// A new split is in effect for the next request after Set returned. Requests under way finish where they are.
//
// Requests without a body go over connections that this package keeps itself (see lines), on the goroutine that serves
// the client; everything else goes by http.Transport. That saves a quarter of the CPU time of a request.
//
// Errors are answers with status 5xx, gRPC calls whose status says the same, and requests without an answer. A client
// that went away is none: it counts as 4xx. Latency is the time to the end of the answer. A connection that leaves HTTP
// counts at its head, and lives where it is until it ends, or a split says that its allocation leaves: then a WebSocket is
// closed with 1001, and a stream of events gets its regular end.
//
// While a split names a rollout for its sessions, a user's first answer sets a cookie that keeps him on its track; the
// endpoint never sees it. Copies of requests that a split asks for are sent beside them and answered to nobody; they are
// bounded, marked, and counted by a track of their own.
package proxy
