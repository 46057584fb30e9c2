release "web" {
  version = "1"
  jobspec = "web.nomad.hcl"
  policy  = "builtin/standard"

  gate "error" { # ERROR: Unknown gate
    enabled = false
  }
}
