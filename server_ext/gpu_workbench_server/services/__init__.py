"""Use cases: verbs on nouns. They know the domain and the ports; no web, no database."""
