release "web" {
  version = "1"
  jobspec = "web.nomad.hcl"

  shadow {
    percent = 10
    methods = ["GET", "get", 5] # ERROR: Unknown method # ERROR: Wrong type
  }
  gate "queue" {
    query = "max(queue{alloc_id=~\"${allocs}\"})"
    max   = 100
    on    = "shadow" # ERROR: Unfitting threshold
  }
  gate "late" {
    metric = "error_rate"
    max    = "1%"
    from   = "25%" # ERROR: Unfitting threshold
    on     = "shadow"
  }
  gate "each" {
    metric = "error_rate"
    max    = "1%"
    by     = "endpoint" # ERROR: Unfitting attribute
    on     = "shadow"
  }
  gate "elsewhere" {
    metric = "error_rate"
    max    = "1%"
    on     = "mirror" # ERROR: Unknown value
  }
}
