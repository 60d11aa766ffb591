"""Stand-ins for what a test machine lacks: real, small programs of our own."""
