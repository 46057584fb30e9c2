variable "version" {
  type        = string
  description = "Which version to run; Drover always passes it."
}

variable "binary" {
  type        = string
  description = "The service, built from examples/websockets/service."
  default     = "chat"
}

variable "replicas" {
  type    = number
  default = 3
}

job "chat" {
  type = "service"

  group "api" {
    count = var.replicas

    network {
      port "http" {}
    }

    service {
      name     = "chat"
      provider = "nomad"
      port     = "http"

      check {
        type     = "http"
        path     = "/healthz"
        interval = "1s"
        timeout  = "1s"
      }
    }

    update {
      min_healthy_time  = "1s"
      healthy_deadline  = "20s"
      progress_deadline = "30s"
    }

    restart {
      attempts = 0
      mode     = "fail"
    }

    task "server" {
      driver = "raw_exec"

      config {
        command = var.binary
        args    = ["-version", var.version, "-listen", "${NOMAD_ADDR_http}"]
      }

      resources {
        cpu    = 50
        memory = 64
      }
    }
  }
}
