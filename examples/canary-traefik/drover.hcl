# Drover's own configuration, for Traefik. Drover answers when Traefik asks for its services, and a Prometheus counts the requests.
git {
  url  = "shop.git"
  poll = "15s"
}

nomad {
  address = "http://127.0.0.1:4646"
}

router "edge" {
  type      = "traefik"
  listen    = "127.0.0.1:9102"          # where Traefik asks; an address that it reaches where it is on another machine
  instances = ["http://127.0.0.1:8081"] # the API of every Traefik that serves these users
}

# Traefik tells Drover nothing of requests. It tells a Prometheus, by service: Drover's have the names of their tracks.
metrics "prometheus" {
  address         = "http://127.0.0.1:9090"
  profile         = "traefik"
  scrape_interval = "5s" # as in prometheus.yml
}
