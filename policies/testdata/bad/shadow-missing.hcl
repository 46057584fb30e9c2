release "web" { # ERROR: Gate without a shadow
  version = "1"
  jobspec = "web.nomad.hcl"

  gate "copies" {
    metric = "error_rate"
    max    = "1%"
    on     = "shadow"
  }
}
