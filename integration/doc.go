// Package integration runs Drover's conformance suites and whole stories against real servers. It is a module of its
// own, so that what the tests need stays out of Drover; the servers themselves are pinned by the modules below it.
//
// A server that is missing is a failure, not a skip: these tests exist to be run. Traefik alone, which is in no package of
// Debian, is tested where it is on the PATH.
package integration
