release "web" {
  version = "1"
  jobspec = "web.nomad.hcl"

  strategy "canary" {
    weights = [] # ERROR: Missing steps
    bake    = "1m"
  }
}
