release "web" {
  version  = "1"
  jobspec  = "web.nomad.hcl"
  jobspecs = "web.nomad.hcl" # ERROR: Unsupported argument
  policy   = "builtin/standart" # ERROR: Unknown policy

  trafic { # ERROR: Unsupported block type
    router = "edge"
  }
  strategy "canari" { # ERROR: Unknown strategy
    weights = [100]
  }
  gate "errors" {
    metric = "error_rat" # ERROR: Unknown value
    maxi   = "1%" # ERROR: Unsupported argument
  }
  gate { # ERROR: Missing name for gate
  }
  smoke "home" {
    path = "/"
    stat = 200 # ERROR: Unsupported argument
  }
  smoke { # ERROR: Missing name for smoke
  }
  rollback {
    commit = "pull-request" # ERROR: Unknown value
  }
}
