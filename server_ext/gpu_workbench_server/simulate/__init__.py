"""What would have happened: traces through the very same domain code, in virtual time."""
