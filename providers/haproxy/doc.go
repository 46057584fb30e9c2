// Package haproxy steers HAProxy by its runtime API: servers are added, weighed, taken out of service and removed in a running
// process, without a reload. HAProxy 2.6 or later, whose socket has level admin.
//
// Each release has one backend without servers, whose algorithm heeds changing weights. People write it:
//
//	backend checkout-api
//	  balance roundrobin
//	  option httpchk GET /health
//
// or Drover does, into a folder that HAProxy reads when it starts ([Options].Folder), with its servers, so that a reload and a
// restart begin with the split in effect. Then people write what it is made from, as `defaults checkout-api`. Without that
// HAProxy forgets its servers, and it follows no allocations by itself: its Abilities say so (Static), so that splits are applied
// again, at rest too.
//
// Every allocation is one server, named after its track and its id, as in canary-5b1c9d50-…: HAProxy's own statistics
// and its Prometheus exporter therefore tell the tracks apart. An allocation that changes its track is added under its
// new name before the old one is taken out, so that nothing is dropped.
//
// A share is made of weights from 0 to 256: [Levels] says which share results. It is never more than was asked for.
//
// A server is in one of three states. It serves; it is closed, in maintenance with a weight, when its track gets nothing for now;
// or it has left, in maintenance without one, until it is deleted. A weight of 0 or a drain would leave it the users who carry
// its cookie. Maintenance leaves alone what is open.
//
// Users are kept by a cookie, where the backend has one: HAProxy makes its values of a server's address and a key, and the key is
// the rollout's. A stick table names who takes over the users of a server that left, where the backend has one.
package haproxy
