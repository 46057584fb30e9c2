release "web" {
  version         = "1"
  jobspec         = "web.nomad.hcl"
  confidence      = "100%" # ERROR: Confidence out of range
  on_inconclusive = "wait" # ERROR: Unknown value
  early           = "yes" # ERROR: Wrong type
  accept          = { DRV999 = "why not", DRV013 = "" } # ERROR: Unknown finding # ERROR: Missing reason

  gate "never" {
    metric = "error_rate"
    max    = "0%" # ERROR: Limit out of range
  }
  gate "always" {
    metric = "error_rate"
    max    = "100%" # ERROR: Limit out of range
  }
  gate "narrow" {
    metric            = "error_rate"
    max_vs_stable     = "2x"
    promote_vs_stable = "1.5x+0pp" # ERROR: Tolerance out of range
  }
  gate "alone" {
    metric            = "error_rate"
    max               = "1%"
    promote_vs_stable = "2x" # ERROR: Unfitting threshold
  }
  gate "unclear" {
    metric            = "error_rate"
    max_vs_stable     = "2x"
    promote_vs_stable = "3" # ERROR: Missing unit
  }
  gate "points" {
    metric            = "latency"
    quantile          = 0.95
    max_vs_stable     = "+20%"
    promote_vs_stable = "+1pp" # ERROR: Invalid tolerance
  }
  gate "narrower" {
    metric            = "latency"
    quantile          = 0.95
    max_vs_stable     = "+20%"
    promote_vs_stable = "+10%" # ERROR: Tolerance out of range
  }
  gate "volume" {
    metric  = "requests"
    min     = 5
    from    = "25%" # ERROR: Unfitting threshold
    dry_run = 1 # ERROR: Wrong type
  }
}
