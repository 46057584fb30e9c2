variable "version" {
  type        = string
  description = "Which version to run; Drover always passes it."
}

variable "binary" {
  type        = string
  description = "The demo service, built from examples/checkout/service."
  default     = "checkout"
}

variable "replicas" {
  type    = number
  default = 3
}

job "checkout-api" {
  type = "service"

  group "api" {
    count = var.replicas

    # Between leaving the service and being told to stop: time for Drover to take an allocation from the balancer.
    shutdown_delay = "3s"

    network {
      port "http" {}
    }

    service {
      name     = "checkout-api"
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
