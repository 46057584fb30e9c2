# For services whose users wait for every answer: the gates are on the slow end of latencies. It takes some hundred requests
# a second to know the slowest one in a hundred.
policy "latency-critical" {
  strategy "canary" {
    weights = [5, 20, 50, 100]
    bake    = "10m"
  }

  max_duration = "4h"

  gate "errors" {
    metric            = "error_rate"
    max               = "1%"
    max_vs_stable     = "1.5x"
    promote_vs_stable = "2x+1pp"
  }

  # The first minute of a canary is left out: its caches are cold.
  gate "latency" {
    metric        = "latency"
    quantile      = 0.95
    max_vs_stable = "+10%"
  }

  gate "latency-tail" {
    metric        = "latency"
    quantile      = 0.99
    max_vs_stable = "+15%"
  }

  gate "volume" {
    metric = "requests"
    min    = 1000
  }

  rollback {
    commit = "push"
    issue  = true
    labels = ["drover", "rollback"]
  }
}
