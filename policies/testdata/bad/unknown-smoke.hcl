release "web" {
  version = "1"
  jobspec = "web.nomad.hcl"
  policy  = "builtin/standard"

  smoke "home" { # ERROR: Unknown smoke check
    enabled = false
  }
}
