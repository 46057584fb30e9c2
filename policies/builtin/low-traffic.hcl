# For services with less than a few requests a second. With so few nobody can tell small differences: half of the traffic
# goes to the canary, long enough to see a large one, and a step ends as soon as its gates pass.
policy "low-traffic" {
  strategy "canary" {
    weights = [50, 100]
    bake    = "30m"
  }

  early        = true
  confidence   = "90%"
  max_duration = "8h"
  accept       = { DRV013 = "with fewer requests nothing could be shown" }

  gate "errors" {
    metric            = "error_rate"
    max               = "5%"
    max_vs_stable     = "3x"
    promote_vs_stable = "5x+5pp"
  }

  gate "volume" {
    metric = "requests"
    min    = 50
  }

  rollback {
    commit = "push"
    issue  = true
    labels = ["drover", "rollback"]
  }
}
