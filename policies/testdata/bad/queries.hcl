release "web" {
  version = "1"
  jobspec = "web.nomad.hcl"

  gate "nothing" { # ERROR: Missing query
    metric = "query"
    max    = "1%"
  }
  gate "both" {
    metric = "cpu"
    query  = "cpu{alloc_id=~\"${allocs}\"}" # ERROR: Unfitting threshold
    max    = "90%"
  }
  gate "all" {
    query = "sum(increase(failures_total[${range}]))" # ERROR: Invalid query
    max   = "1%"
  }
  gate "other" {
    query = "x{alloc_id=~\"${alloc}\"}" # ERROR: Invalid query
    max   = 1
  }
  gate "empty" {
    query = "" # ERROR: Invalid query
    max   = 1
  }
  gate "time" {
    query    = "sum(increase(failures_total{alloc_id=~\"${allocs}\"}[${range}]))"
    exposure = "sum(calls{alloc_id=~\"${allocs}\"})" # ERROR: Invalid query
    max      = "1%"
    min      = 1 # ERROR: Unfitting threshold
  }
  gate "value" {
    query             = "x{alloc_id=~\"${allocs}\"}"
    max               = "1%" # ERROR: Wrong type
    promote_vs_stable = "2x" # ERROR: Unfitting threshold
  }
  gate "memory" {
    metric        = "memory"
    max_vs_stable = "1.5x" # ERROR: Invalid tolerance
  }
}
