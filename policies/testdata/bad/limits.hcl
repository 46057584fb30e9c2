release "web" { # ERROR: Too many limits
  version = "1"
  jobspec = "web.nomad.hcl"

  gate "a" {
    metric        = "error_rate"
    by            = "endpoint"
    max           = "1%"
    max_vs_stable = "1.5x"
  }
  gate "b" {
    metric = "error_rate"
    by     = "endpoint"
    max    = "1%"
  }
}
