release "web" {
  version = "1"
  jobspec = "web.nomad.hcl"

  strategy "canary" { # ERROR: Rollout without end
    weights = [5, 25, 50, 100]
    bake    = "1h"
  }
}
