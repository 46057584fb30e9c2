release "web" {
  version      = "1"
  jobspec      = "web.nomad.hcl"
  max_duration = "5m" # ERROR: Rollout without end

  strategy "blue-green" {
    bake    = "5m"
    standby = "0s"
  }
}
