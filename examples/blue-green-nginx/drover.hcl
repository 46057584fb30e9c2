# Drover's own configuration, on the machine of the NGINX that it steers.
git {
  url  = "shop.git"
  poll = "15s"
}

nomad {
  address = "http://127.0.0.1:4646"
}

router "edge" {
  type = "nginx"

  file  = "/etc/nginx/drover/edge.conf" # Drover writes it, NGINX includes it
  admin = "127.0.0.1:8081"              # where NGINX tells Drover what it has loaded
  log   = "127.0.0.1:8082"              # where NGINX tells Drover of every request

  # As the user that Drover runs as; ["sudo", "nginx", …] where that is not NGINX's own.
  test   = ["nginx", "-t", "-q"]
  reload = ["nginx", "-s", "reload"]

  route "checkout-api" {} # its requests go to $drover_checkout_api
}
