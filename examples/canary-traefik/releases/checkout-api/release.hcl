release "checkout-api" {
  version = "1.0.0"
  jobspec = "checkout-api.nomad.hcl"
  policy  = "standard"
}
