release "web" {
  version   = 1.8 # ERROR: Wrong type
  jobspec   = "" # ERROR: Empty value
  attempt   = 0 # ERROR: Invalid count
  namespace = "a_b" # ERROR: Invalid namespace

  max_duration = "0s" # ERROR: Empty duration

  rollback {
    commit = push # ERROR: Value not constant
    issue  = "yes" # ERROR: Wrong type
    labels = ["a,b", 3] # ERROR: Invalid label # ERROR: Wrong type

    assignees = ["robin", "@kim"] # ERROR: Invalid assignee
  }

  variables {
    version = "2" # ERROR: Reserved variable
    a       = b.c # ERROR: Value not constant
    b       = upper("x") # ERROR: Value not constant
    c       = 1 + 1 # ERROR: Value not constant
    d       = "x${y}" # ERROR: Value not constant
    e       = [for x in [1] : x] # ERROR: Value not constant
    f       = 1e5000 # ERROR: Number out of range
    g       = { (k) = [v] } # ERROR: Value not constant # ERROR: Value not constant
  }
}
