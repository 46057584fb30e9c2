# For services that are easily mended, and for test environments: three steps of at most a minute, one gate.
policy "fast" {
  strategy "canary" {
    weights = [20, 50, 100]
    bake    = "1m"
  }

  # A step ends before its minute is over when its gate passes.
  early        = true
  max_duration = "30m"
  accept       = { DRV013 = "made for what is easily mended" }

  gate "errors" {
    metric            = "error_rate"
    max               = "5%"
    max_vs_stable     = "2x"
    promote_vs_stable = "4x+3pp"
  }

  rollback {
    commit = "push"
    issue  = true
    labels = ["drover", "rollback"]
  }
}
