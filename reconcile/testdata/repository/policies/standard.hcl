policy "standard" {
  strategy "canary" {
    weights = ["5%", "50%", "100%"]
    bake    = "20s"
  }

  gate "errors" {
    metric        = "error_rate"
    max           = "1%"
    max_vs_stable = "1.5x"
  }

  gate "latency" {
    metric        = "latency"
    quantile      = 0.95
    max           = "300ms"
    max_vs_stable = "+20%"
  }

  gate "volume" {
    metric = "requests"
    min    = 500
  }
}
