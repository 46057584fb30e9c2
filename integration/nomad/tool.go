// Package nomad pins the Nomad server that the integration tests run against. It has no code: the module around it
// exists so that Nomad's dependencies, and its licence, stay out of Drover and of the tests. Build the binary with
//
//	go build -o ../../bin/nomad github.com/hashicorp/nomad
package nomad
