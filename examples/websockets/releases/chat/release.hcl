release "chat" {
  version = "1.0.0"
  jobspec = "chat.nomad.hcl"
  policy  = "long-lived"
}
