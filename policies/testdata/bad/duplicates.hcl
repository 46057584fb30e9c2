release "web" {
  version = "1"
  version = "2" # ERROR: Attribute redefined
  jobspec = "web.nomad.hcl"
}
