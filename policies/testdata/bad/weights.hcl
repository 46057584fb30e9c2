release "web" {
  version = "1"
  jobspec = "web.nomad.hcl"

  strategy "canary" {
    weights = [
      0,       # ERROR: Weight out of range
      -5,      # ERROR: Weight out of range
      5,
      "5%",    # ERROR: Weights not rising
      "4",     # ERROR: Weights not rising
      "a lot", # ERROR: Invalid weight
      "NaN%",  # ERROR: Invalid weight
      "1e2%",  # ERROR: Invalid weight
      7.123,   # ERROR: Weight too fine
      true,    # ERROR: Wrong type
      100,
      "100.5%" # ERROR: Weight out of range
    ]
    bake     = "5m"
    canaries = 0 # ERROR: Invalid count
  }
}
