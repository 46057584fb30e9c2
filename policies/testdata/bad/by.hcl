release "web" {
  version = "1"
  jobspec = "web.nomad.hcl"

  gate "slow" {
    metric   = "latency"
    by       = "endpoint" # ERROR: Unfitting attribute
    quantile = 0.95
    max      = "1s"
  }
  gate "errors" {
    metric = "error_rate"
    by     = "route" # ERROR: Unknown value
    max    = "1%"
  }
}
