// Package balancers holds the routers of other makers to the suite that Drover's own proxy passes, each against its real
// server. It needs no Nomad.
package balancers
