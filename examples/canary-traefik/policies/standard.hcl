policy "standard" {
  strategy "canary" {
    weights = ["5%", "25%", "50%", "100%"]
    bake    = "5m"
  }

  gate "errors" {
    metric        = "error_rate"
    max           = "1%"
    max_vs_stable = "1.5x"
  }

  gate "latency" {
    metric   = "latency"
    quantile = 0.95
    max      = "300ms" # one of the buckets in traefik.yml
  }

  gate "volume" {
    metric = "requests"
    min    = 500
  }
}
