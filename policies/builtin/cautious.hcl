# For services where every failed request is dear: six steps, an hour in all, and narrow gates.
policy "cautious" {
  strategy "canary" {
    weights = [1, 5, 10, 25, 50, 100]
    bake    = "10m"
  }

  # The steps take an hour when nothing holds them; the rest is room for holds.
  max_duration = "6h"

  gate "errors" {
    metric            = "error_rate"
    max               = "0.5%"
    max_vs_stable     = "1.2x"
    promote_vs_stable = "1.5x+1pp"
  }

  gate "latency" {
    metric        = "latency"
    quantile      = 0.95
    max_vs_stable = "+10%"
  }

  # The slowest one in a hundred may be a little worse, as it is seldom seen.
  gate "latency-tail" {
    metric        = "latency"
    quantile      = 0.99
    max_vs_stable = "+20%"
  }

  gate "volume" {
    metric = "requests"
    min    = 500
  }

  rollback {
    commit = "push"
    issue  = true
    labels = ["drover", "rollback"]
  }
}
