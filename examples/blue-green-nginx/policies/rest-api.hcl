# A stateless REST API whose change is additive: both versions may answer any request, and going back is always safe.
policy "rest-api" {
  strategy "blue-green" {
    bake    = "20m" # all traffic on the new version, judged
    standby = "1h"  # and the old one beside it, so that going back is instant
  }

  # Before anybody is sent there: it answers, and what users know of the answer is still in it.
  smoke "fields" {
    path = "/"
    body = "\"service\":\"checkout-api\""
  }

  gate "errors" {
    metric = "error_rate"
    max    = "1%"
  }

  gate "latency" {
    metric   = "latency"
    quantile = 0.95
    max      = "300ms"
  }
}
