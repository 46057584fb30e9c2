release "web" {
  version = "1"
  jobspec = "web.nomad.hcl"

  strategy "bluegreen" { # ERROR: Unknown strategy
    bake = "5m"
  }
}
