# Drover itself: the daemon that follows the release repository. One process leads and the others stand by; what they know
# is in Nomad Variables, so they may be moved to any node.

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
  description = "How many processes: one leads, and another goes on when it ends."
  default     = 2
}

job "drover" {
  type = "service"

  group "drover" {
    count = var.count

    # On different nodes, where there are several.
    spread {
      attribute = "${node.unique.id}"
    }

    network {
      port "metrics" {}
    }

    service {
      name     = "drover"
      provider = "nomad"
      port     = "metrics"

      check {
        type     = "http"
        path     = "/healthz"
        interval = "10s"
        timeout  = "2s"
      }
    }

    # The clone of the repository. It is a cache: a lost one is made again.
    ephemeral_disk {
      sticky = true
    }

    task "drover" {
      driver = var.driver

      config {
        command = var.binary
        args    = ["run", "-config", "${NOMAD_TASK_DIR}/drover.hcl"]
      }

      # The token of the task's identity, in secrets/nomad_token. What it may do is written in drover.policy.hcl.
      identity {
        file = true
      }

      template {
        destination = "local/drover.hcl"
        data        = file("drover.hcl")
      }

      # Drover reads it again when the remote rejects the one it knows: a new token needs no restart.
      template {
        destination = "secrets/git_token"
        perms       = "600"
        change_mode = "noop"
        data        = "{{ with nomadVar \"nomad/jobs/drover\" }}{{ .git_token }}{{ end }}"
      }

      resources {
        cpu    = 200
        memory = 256
      }
    }
  }
}
