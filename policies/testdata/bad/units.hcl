release "web" {
  version      = "1"
  jobspec      = "web.nomad.hcl"
  max_duration = 7200 # ERROR: Missing unit

  strategy "canary" {
    step {
      weight = "5%"
      bake   = 5 # ERROR: Missing unit
    }
    step {
      weight = 10
      bake   = "5" # ERROR: Missing unit
    }
    step {
      weight = 20
      bake   = "-5m" # ERROR: Negative duration
    }
    step {
      weight = 30
      bake   = "5 minutes" # ERROR: Invalid duration
    }
    step {
      weight = 40
      bake   = -5 # ERROR: Missing unit
    }
    step {
      weight = 50
      bake   = true # ERROR: Wrong type
    }
  }
  gate "errors" {
    metric        = "error_rate"
    max           = 1 # ERROR: Missing unit
    max_vs_stable = 1.5 # ERROR: Missing unit
  }
  gate "more-errors" {
    metric        = "error_rate"
    max           = "300ms" # ERROR: Invalid percentage
    max_vs_stable = "150%" # ERROR: Invalid tolerance
  }
  gate "most-errors" {
    metric        = "error_rate"
    max           = "101%" # ERROR: Invalid percentage
    max_vs_stable = "+100pp" # ERROR: Tolerance out of range
  }
  gate "latency" {
    metric        = "latency"
    quantile      = "95%" # ERROR: Wrong type
    max           = 300 # ERROR: Missing unit
    max_vs_stable = "+0.5pp" # ERROR: Invalid tolerance
  }
  gate "more-latency" {
    metric        = "latency"
    quantile      = 95 # ERROR: Quantile out of range
    max           = "1%" # ERROR: Invalid duration
    max_vs_stable = "0.5x" # ERROR: Tolerance out of range
  }
  gate "no-latency" {
    metric   = "latency"
    quantile = 0.5
    max      = "0s" # ERROR: Empty duration
  }
  gate "volume" {
    metric = "requests"
    min    = "500" # ERROR: Wrong type
  }
  gate "half" {
    metric = "requests"
    min    = 0.5 # ERROR: Invalid count
  }
}
