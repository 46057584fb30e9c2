release "web" {
  version   = "1 8" # ERROR: Invalid version
  jobspec   = "web.nomad.hcl"
  var_files = "prod.hcl" # ERROR: Wrong type

  rollback {
    labels = "urgent" # ERROR: Wrong type
  }
}
