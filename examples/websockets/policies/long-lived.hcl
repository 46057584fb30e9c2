# A service whose connections live for hours. New ones go to the new version in steps; those that are open stay where they are
# until they end, or until the time to drain is over: then the proxy closes them with 1001, and their users connect anew, to the
# new version.
policy "long-lived" {
  strategy "canary" {
    weights = [5, 25, 50, 100]
    bake    = "10m"
  }

  # At the proxy a handshake is a request: one that is refused is an error, one that succeeds counts once, however long it lives.
  gate "handshakes" {
    metric        = "error_rate"
    max           = "2%"
    max_vs_stable = "2x"
  }

  traffic {
    connection_drain = "5m"
  }
}
