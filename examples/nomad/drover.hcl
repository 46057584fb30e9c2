# Both jobs read this file. Nomad fills in what stands in double braces, for each of its tasks.

state_dir = "{{ env "NOMAD_ALLOC_DIR" }}/data"

git {
  url        = "https://git.example.com/shop/releases.git"
  branch     = "main"
  token_file = "{{ env "NOMAD_SECRETS_DIR" }}/git_token"
}

# Nomad itself, by the socket that it gives each task, with the token of the task's identity.
nomad {
  address    = "unix://{{ env "NOMAD_SECRETS_DIR" }}/api.sock"
  token_file = "{{ env "NOMAD_SECRETS_DIR" }}/nomad_token"
}

router "edge" {
  listen            = "0.0.0.0:{{ env "NOMAD_PORT_users" }}"
  admin             = "{{ env "NOMAD_ADDR_admin" }}"
  instances_service = "drover-proxy"
  state_file        = "{{ env "NOMAD_ALLOC_DIR" }}/data/splits.json"

  route "checkout-api" {
    hosts = ["checkout.example.com"]
  }
}

http {
  listen = "{{ env "NOMAD_ADDR_metrics" }}"
}
