release "checkout-api" {
  version = "1.7.0"
  jobspec = "checkout-api.nomad.hcl"
  policy  = "rest-api"
}
