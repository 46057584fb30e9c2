package main

import (
	"github.com/hashicorp/hcl/v2"
)

// httpConfig says where the daemon answers over HTTP: monitoring, and with a token the commands of people too.
type httpConfig struct {
	Listen    string    `hcl:"listen"`
	TokenEnv  string    `hcl:"token_env,optional"`
	TokenFile string    `hcl:"token_file,optional"`
	Body      hcl.Body  `hcl:",body"`
	Range     hcl.Range `hcl:",def_range"`
}

func (h *httpConfig) token() secret {
	return secret{block: "http", name: "token", env: h.TokenEnv, file: h.TokenFile}
}

// complete checks what the syntax cannot.
func (h *httpConfig) complete() hcl.Diagnostics {
	if h == nil {
		return nil
	}
	at := placesOf(h.Body, h.Range)
	if h.Listen == "" { // Such is a file that Nomad fills in for a task without the port: the proxy's, which has no use for it.
		return h.token().check(at)
	}
	return append(checkListen("listen", h.Listen, at("listen")), h.token().check(at)...)
}
