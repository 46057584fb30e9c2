release "web" {
  version = "1"
  jobspec = "web.nomad.hcl"
  drift   = "corect" # ERROR: Unknown value
}
