"""What others may watch: Prometheus metrics, audit events, the log. Decides and changes nothing."""
