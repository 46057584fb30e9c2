release "web" {
  version = "1"
  jobspec = "web.nomad.hcl"

  strategy "canary" { # ERROR: Missing bake
    weights  = 50     # ERROR: Wrong type
    canaries = null   # ERROR: Wrong type
  }
}
