release "web" { # ERROR: Missing version # ERROR: Missing jobspec
  strategy "canary" { # ERROR: Missing steps
  }
  gate "a" { # ERROR: Missing metric
  }
  gate "b" { # ERROR: Missing threshold
    metric = "error_rate"
  }
  gate "c" { # ERROR: Missing quantile # ERROR: Missing threshold
    metric = "latency"
  }
  smoke "home" { # ERROR: Missing path
    status = 204
  }
  gate "d" { # ERROR: Missing threshold
    metric = "requests"
  }
}
