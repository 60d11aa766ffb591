"""Live widgets for notebooks, one folder each: a front end by hand, no build, and what feeds it."""
