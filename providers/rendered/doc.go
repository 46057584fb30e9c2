// Package rendered is the router for any balancer that runs as a Nomad job and can be configured by a file: Drover publishes
// how traffic is to be divided in a Nomad Variable that this job alone may read, and the job renders it with its template
// block and has the balancer load it. Drover needs no access to the balancer.
//
//	router "edge" {
//	  type   = "template"
//	  job    = "edge"                                # the balancer's
//	  status = ["http://10.0.0.7:8081/drover"]       # where each instance says what it has loaded
//	}
//
// The variable is nomad/jobs/<job>, which every task of that job may read by its workload identity, and nobody else's. Drover
// writes one item of it, "drover", and leaves the others. Its JSON has a checksum and, for each release, what templates need;
// see Entry. The templates for NGINX and HAProxy stand in docs/traffic.md.
//
// A split is in effect when every instance says that it has loaded the checksum of what is published, and has had a moment
// to end what it did before. A balancer that cannot say so is taken to have done it after a time that is declared.
package rendered
