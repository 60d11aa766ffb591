"""Small real pieces that several suites use: a server to start and kill, waiting in tests."""
