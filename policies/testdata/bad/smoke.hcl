release "web" {
  version = "1"
  jobspec = "web.nomad.hcl"

  smoke "Home" { # ERROR: Invalid name
    path    = "healthz" # ERROR: Invalid path
    status  = 99 # ERROR: Number out of range
    timeout = "0s" # ERROR: Empty duration
    retries = 11 # ERROR: Number out of range
    body    = "(" # ERROR: Invalid regular expression
    header  = ["X-Version"] # ERROR: Wrong type
    enabled = "yes" # ERROR: Wrong type
  }
  smoke "fragment" {
    path    = "/page#part" # ERROR: Invalid path
    status  = 600 # ERROR: Number out of range
    timeout = "61s" # ERROR: Timeout too long
    retries = 1.5 # ERROR: Number out of range
    body    = "" # ERROR: Empty value
  }
  smoke "escape" {
    path    = "/100%" # ERROR: Invalid path
    status  = "200" # ERROR: Wrong type
    timeout = 2 # ERROR: Missing unit
    retries = -1 # ERROR: Number out of range
    body    = 5 # ERROR: Wrong type
  }
  smoke "space" {
    path = "/a b" # ERROR: Invalid path
    header = {
      "X Version" = "1" # ERROR: Invalid header
      1           = "1" # ERROR: Invalid header
      X-Count     = 3 # ERROR: Wrong type
      X-Empty     = "" # ERROR: Empty value
      X-Space     = " 1" # ERROR: Invalid header
      X-Line      = "1\n2" # ERROR: Invalid header
      X-Twice     = "1"
      x-twice     = "1" # ERROR: Duplicate header
    }
  }
  smoke "computed" {
    path   = "/${version}" # ERROR: Value not constant
    header = { X-Version = version } # ERROR: Value not constant
  }
  smoke "again" {
    path = "/"
  }
  smoke "again" { # ERROR: Duplicate smoke check
    path = "/"
  }
}
