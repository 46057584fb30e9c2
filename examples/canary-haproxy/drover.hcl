# Drover's own configuration, beside one HAProxy whose runtime API it may use.
git {
  url  = "shop.git"
  poll = "15s"
}

nomad {
  address = "http://127.0.0.1:4646"
}

router "edge" {
  type    = "haproxy"
  sockets = ["unix:/run/haproxy/drover.sock"] # of every HAProxy that serves these users; "tcp:10.0.0.7:9999" for those elsewhere
  folder  = "/etc/haproxy/drover"             # what HAProxy begins with, so that a reload loses nothing

  route "checkout-api" {
    backend = "checkout-api" # the release's name is the default
  }
}
