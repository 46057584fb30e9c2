release "web" {
  version      = "1"
  jobspec      = "web.nomad.hcl"
  policy       = "builtin/cautious"
  max_duration = "1h" # ERROR: Rollout without end
}
