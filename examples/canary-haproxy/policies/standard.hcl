policy "standard" {
  strategy "canary" {
    weights = ["5%", "25%", "50%", "100%"]
    bake    = "5m"
  }

  # HAProxy counts requests and errors of every server. It has no histogram of latencies: a gate on latency needs a meter
  # beside it, metrics "prometheus" with the latencies that the service itself counts.
  gate "errors" {
    metric        = "error_rate"
    max           = "1%"
    max_vs_stable = "1.5x"
  }

  gate "volume" {
    metric = "requests"
    min    = 500
  }
}
