package nomadagent

import (
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync/atomic"
)

// kind is how an agent runs.
type kind int

const (
	forgetful kind = iota // server and client, all that they know in memory
	server                // a server alone, with it on disk
	joined                // a client of another agent's server
)

// config keeps the agent from looking for clouds and registries, and lets it run any program.
func (a *Agent) config() string {
	return fmt.Sprintf(`name                 = %q
log_level            = "INFO"
disable_update_check = true
data_dir             = %q

acl {
  enabled = %t
}

ports {
  http = %d
  rpc  = %d
  serf = %d
}

plugin "raw_exec" {
  config {
    enabled = true
  }
}

%sclient {
  enabled           = %t
  network_interface = "lo"
  state_dir         = %q
  alloc_dir         = %q
  alloc_mounts_dir  = %q
  cpu_total_compute = 16000
  memory_total_mb   = 16000
  min_dynamic_port  = %d
  max_dynamic_port  = %d
%s
  options = {
    "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean,vault,consul,cni_plugins,bridge"
  }
}
`, a.name, filepath.Join(a.dir, "data"), a.acl, a.ports.http, a.ports.rpc, a.ports.serf, a.serverConfig(), a.kind != server,
		filepath.Join(a.dir, "state"), filepath.Join(a.dir, "alloc"), filepath.Join(a.dir, "mounts"),
		a.ports.dynamic, a.ports.dynamic+dynamicPorts-1, a.serversConfig())
}

func (a *Agent) serverConfig() string {
	// A server that was away for a while must not take its nodes for lost, since it did not hear of them.
	const patient = "server {\n  heartbeat_grace  = \"1m\"\n%s}\n\n"
	const advertise = "advertise {\n  http = \"127.0.0.1\"\n  rpc  = \"127.0.0.1\"\n  serf = \"127.0.0.1\"\n}\n\n"
	switch a.kind {
	case server:
		return advertise + fmt.Sprintf(patient, "  enabled          = true\n  bootstrap_expect = 1\n")
	case joined:
		return advertise
	case forgetful:
	}
	return fmt.Sprintf(patient, "")
}

// serversConfig tells a client that joins where its server is.
func (a *Agent) serversConfig() string {
	if a.kind != joined {
		return ""
	}
	return fmt.Sprintf("  servers           = [\"127.0.0.1:%d\"]\n", a.server.ports.rpc)
}

// ports are what an agent listens on, and the first of those that its tasks get.
type ports struct{ http, rpc, serf, dynamic int }

// Every agent of this machine gives its tasks ports of the same loopback and knows nothing of the others': each has a
// range of its own, below those that the system itself hands out.
const (
	firstDynamicPort = 20000
	dynamicPorts     = 500
	dynamicRanges    = 24
)

// ranges numbers the agents of this process; another process most likely begins elsewhere.
var ranges = func() *atomic.Int64 {
	var n atomic.Int64
	n.Store(rand.Int64N(dynamicRanges))
	return &n
}()

// freePorts asks the system for ports that nobody listens on. They are held until all are known, so that they differ.
func freePorts() (ports, error) {
	p := ports{dynamic: firstDynamicPort + dynamicPorts*int(ranges.Add(1)%dynamicRanges)}
	for _, port := range []*int{&p.http, &p.rpc, &p.serf} {
		listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // It is closed at once.
		if err != nil {
			return ports{}, fmt.Errorf("find a free port: %w", err)
		}
		defer listener.Close()
		*port = listener.Addr().(*net.TCPAddr).Port
	}
	return p, nil
}
