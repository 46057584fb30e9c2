// Package traefik makes Drover an HTTP provider for Traefik 3: every instance of Drover, leader or not, answers Traefik's
// questions with the services of all releases, as its dynamic configuration has them.
//
//	providers:
//	  http:
//	    endpoint: "http://drover:9102/"
//	    pollInterval: "100ms"
//	  providersThrottleDuration: "100ms"
//
// Each release is one service, which routers of Traefik's own configuration name: service: "checkout-api@http". It is a
// weighted service of the release's two tracks, with a cookie while sessions are sticky. Rules, certificates and middlewares
// stay with Traefik's own configuration, and go for all requests alike.
//
// Beside them is a service for every release whose name has the checksum of its split, and which nobody routes to. Traefik's
// API lists what it has loaded: a split is in effect when all instances list its checksum. Where no API is to be asked, that is
// taken for done after a declared time.
//
// Traefik copies requests by a mirroring service, whatever their method, and marks none. Drover has it copy them to itself, to an
// entry point that is declared for that, where a router of Drover's lets through what may be copied, marks it, and hands it to
// the canary as a service of its own. Middlewares on services, which Traefik has since 3.7, could mark copies, but not choose
// them; and the configuration that has them would be refused as a whole by an older Traefik (2026-11-25, tried on 3.6 and 3.7).
//
// Traefik asks at intervals; an answer in which nothing is new is held back, so that it learns of a split when it is published.
package traefik
