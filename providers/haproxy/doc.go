// Package haproxy steers HAProxy by its runtime API: servers are added, weighed, drained and removed in a running
// process, without a reload. HAProxy 2.6 or later, whose socket has level admin.
//
// Each release has one backend, which the balancer's own configuration declares without servers and with an algorithm
// that heeds changing weights:
//
//	backend checkout-api
//	  balance roundrobin
//	  option httpchk GET /health
//
// Every allocation is one server, named after its track and its id, as in canary-5b1c9d50-…: HAProxy's own statistics
// and its Prometheus exporter therefore tell the tracks apart. An allocation that changes its track is added under its
// new name before the old one is drained, so that nothing is dropped.
//
// A share is made of weights from 0 to 256: [Levels] says which share results. It is never more than was asked for.
//
// HAProxy forgets servers when it is reloaded or started anew, and follows no allocations by itself: its Abilities say so
// (Static), so that splits are applied again, at rest too.
package haproxy
