# For services that must not run two versions side by side under traffic: all traffic is switched at once, and the old
# revision stands by for half an hour, so that going back is instant.
policy "blue-green" {
  strategy "blue-green" {
    bake    = "10m"
    standby = "30m"
  }

  # With all traffic on the new revision there is none to compare with: the limit is absolute.
  gate "errors" {
    metric = "error_rate"
    max    = "1%"
  }

  # With fewer requests than this the gate above has seen too little to be believed.
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
