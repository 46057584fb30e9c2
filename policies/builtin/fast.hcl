# For services that are easily mended, and for test environments: three steps of a minute, one gate.
policy "fast" {
  strategy "canary" {
    weights = [20, 50, 100]
    bake    = "1m"
  }

  max_duration = "30m"

  gate "errors" {
    metric        = "error_rate"
    max           = "5%"
    max_vs_stable = "2x"
  }

  rollback {
    commit = "push"
    issue  = true
    labels = ["drover", "rollback"]
  }
}
