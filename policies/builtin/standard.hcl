# The policy for most services: a small share first, then a quarter, half, all.
# Its strategy is also what a release gets that says none.
policy "standard" {
  strategy "canary" {
    weights = [5, 25, 50, 100]
    bake    = "5m"
  }

  # Never more than one request in a hundred may fail, nor half as many again as on stable.
  gate "errors" {
    metric        = "error_rate"
    max           = "1%"
    max_vs_stable = "1.5x"
  }

  # Against stable only: what is slow differs from service to service.
  gate "latency" {
    metric        = "latency"
    quantile      = 0.95
    max_vs_stable = "+20%"
  }

  # With fewer requests than this the gates above have seen too little to be believed.
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
