# The proxies: they take the requests of users, and divide them between stable and canary. Drover finds them by their
# registrations.

variable "binary" {
  type        = string
  description = "Where the program is on the nodes."
  default     = "/usr/local/bin/drover"
}

variable "driver" {
  type        = string
  description = "exec, or raw_exec where the nodes cannot isolate tasks."
  default     = "exec"
}

variable "count" {
  type        = number
  description = "How many proxies there are."
  default     = 2
}

variable "port" {
  type        = number
  description = "Where users ask, on each node that has a proxy. 0 takes any free port."
  default     = 8080
}

job "drover-proxy" {
  type = "service"

  group "proxy" {
    count = var.count

    network {
      port "users" {
        static = var.port
      }
      port "admin" {}
    }

    # The splits that were last in effect, for a proxy that starts while Nomad's servers are away.
    ephemeral_disk {
      sticky = true
    }

    # Drover asks every instance that is registered here.
    service {
      name     = "drover-proxy"
      provider = "nomad"
      port     = "admin"

      check {
        type     = "http"
        path     = "/healthz"
        interval = "5s"
        timeout  = "2s"
      }
    }

    # What load balancers and DNS before the proxies are told.
    service {
      name     = "drover-proxy-users"
      provider = "nomad"
      port     = "users"
    }

    update {
      max_parallel = 1
    }

    task "proxy" {
      driver = var.driver

      config {
        command = var.binary
        args    = ["proxy", "-config", "${NOMAD_TASK_DIR}/drover.hcl"]
      }

      # The token of the task's identity, in secrets/nomad_token. What it may do is written in proxy.policy.hcl.
      identity {
        file = true
      }

      template {
        destination = "local/drover.hcl"
        data        = file("drover.hcl")
      }

      # From the registrations' end to the signal, so that load balancers have turned away; then requests under way end.
      shutdown_delay = "5s"
      kill_timeout   = "15s"

      resources {
        cpu    = 500
        memory = 256
      }
    }
  }
}
