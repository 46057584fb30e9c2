// Package traefik makes Drover an HTTP provider for Traefik 3: every instance of Drover, leader or not, answers Traefik's
// questions with the services of all releases, as its dynamic configuration has them.
//
//	providers:
//	  http:
//	    endpoint: "http://drover:9102/"
//	    pollInterval: "500ms"
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
// Traefik copies requests by a mirroring service, whatever their method, and marks none: Drover's copies are neither, so this
// router does not declare that it can make any.
package traefik
