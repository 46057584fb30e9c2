// Package providertest holds one conformance suite for each interface that reconcile declares. A suite is a function
// of a test and a constructor of harnesses; every implementation passes it, the simulated ones too, so that the
// simulation stays true.
//
// Suites say what must hold, never how long it takes: a harness waits for it, in real or in virtual time.
package providertest
