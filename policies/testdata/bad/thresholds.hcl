release "web" {
  version = "1"
  jobspec = "web.nomad.hcl"

  gate "errors" {
    metric   = "error_rate"
    max      = "1%"
    quantile = 0.95 # ERROR: Unfitting threshold
    min      = 5 # ERROR: Unfitting threshold
  }
  gate "latency" {
    metric   = "latency"
    quantile = 0.95
    max      = "1s"
    min      = 5 # ERROR: Unfitting threshold
  }
  gate "volume" {
    metric        = "requests"
    min           = 5
    max           = "1%" # ERROR: Unfitting threshold
    quantile      = 0.95 # ERROR: Unfitting threshold
    max_vs_stable = "1.5x" # ERROR: Unfitting threshold
  }
  gate "volume" { # ERROR: Duplicate gate
    metric = "requests"
    min    = 5
  }
  gate "Bad Name" { # ERROR: Invalid name
    metric = "requests"
    min    = 5
  }
}
