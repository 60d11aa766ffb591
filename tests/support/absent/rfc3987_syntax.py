"""Stands in for a package that every Jupyter server imports by way of jsonschema, as if it were not
installed. It makes a grammar for 1.2 s of CPU, to check a format of URLs that nobody here uses.
"""

raise ImportError("left out of the tests' servers")
