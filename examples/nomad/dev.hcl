# For a development agent: nomad agent -dev -config examples/nomad/dev.hcl
#
# By itself an agent asks four clouds whether it runs in them. Where the machine's own settings get in the way of that, it
# does not start at all.
client {
  options = {
    "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean"
  }
}
