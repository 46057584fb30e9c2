release "web" {
  version = "1"
  jobspec = "web.nomad.hcl"

  traffic {
    connection_drain = "2d" # ERROR: Drain without end
    sessions         = "stick" # ERROR: Unknown value
  }
}
