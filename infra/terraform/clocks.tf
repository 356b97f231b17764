# The clocks that must agree. The subscription, the tables and the service's settings all take them from here, so that
# they cannot disagree; docs/settings.md says what each is. The service checks them against each other when it starts.

locals {
  clocks = {
    ack_deadline_s      = 60  # how long a push request may take
    retry_backoff_min_s = 10  # between two attempts to deliver a message
    retry_backoff_max_s = 600 # Pub/Sub allows no more
    dedupe_lookback_s   = 900 # at least the longest back-off and the ack deadline together
    tail_max_s          = 240 # a tail ends itself,
    request_timeout_s   = 300 # before Cloud Run ends it
    retention_days      = var.retention_days
  }
}
