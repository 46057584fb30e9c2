release "web" {
  version = "1"
  jobspec = "web.nomad.hcl"

  strategy "canary" {
    weights  = [5, 100] # ERROR: Steps said twice
    bake     = "5m"     # ERROR: Steps said twice
    canaries = "ful"    # ERROR: Unknown value
    step { # ERROR: Missing bake
      weight = 50
    }
    step { # ERROR: Missing weight
      bake = "1m"
    }
    step {
      weight = 50
      bake   = "1m"
    }
    step {
      weight = 25 # ERROR: Weights not rising
      bake   = "1m"
    }
  }
}
