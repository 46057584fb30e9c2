# Drover's own configuration, with the built-in proxy in front of the service.
git {
  url  = "shop.git"
  poll = "15s"
}

nomad {
  address = "http://127.0.0.1:4646"
}

router "edge" {
  listen    = "0.0.0.0:8080"
  admin     = "127.0.0.1:9100"
  instances = ["http://127.0.0.1:9100"]

  route "chat" {
    hosts = ["chat.example.com"]
  }
}
