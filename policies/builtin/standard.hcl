# The policy for most services: a small share first, then a quarter, half, all.
# Its strategy is also what a release gets that says none.
policy "standard" {
  strategy "canary" {
    weights = [5, 25, 50, 100]
    bake    = "5m"
  }

  # Of all rollouts of healthy versions at most 5 in 100 are rolled back by chance, over all gates together.
  confidence = "95%"

  # A bake that proved nothing is extended, three more times as long at most; then the rollout holds.
  on_inconclusive = "extend"

  # Rolled back when it is shown that more than one request in a hundred fails, or more than half as many again as on stable.
  # Passed when it is shown to be no worse than twice that of stable and a percent point.
  gate "errors" {
    metric            = "error_rate"
    max               = "1%"
    max_vs_stable     = "1.5x"
    promote_vs_stable = "2x+1pp"
  }

  # Against stable only: what is slow differs from service to service.
  gate "latency" {
    metric        = "latency"
    quantile      = 0.95
    max_vs_stable = "+20%"
  }

  # A canary that hardly anybody asked is not believed.
  gate "volume" {
    metric = "requests"
    min    = 100
  }

  rollback {
    commit = "push"
    issue  = true
    labels = ["drover", "rollback"]
  }
}
