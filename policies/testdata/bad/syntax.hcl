release "web" {
  version = "1" "2" # ERROR: Missing newline after argument
  jobspec = "web.nomad.hcl"
}
