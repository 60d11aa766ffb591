"""One file per claim, each a command that prints its table: `python3 dev.py bench NAME`."""
