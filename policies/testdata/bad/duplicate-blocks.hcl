release "web" {
  version = "1"
  jobspec = "web.nomad.hcl"

  traffic {
    router = "" # ERROR: Empty value
  }
  traffic { # ERROR: Duplicate block
    service = "web"
  }
  rollback {
  }
  rollback { # ERROR: Duplicate block
  }
  variables {
    blue { # ERROR: Unexpected "blue" block
    }
  }
  variables { # ERROR: Duplicate block
  }
  strategy "canary" {
    weights = [100]
    bake    = "1m"
  }
  strategy "canary" { # ERROR: Duplicate block
  }
}
