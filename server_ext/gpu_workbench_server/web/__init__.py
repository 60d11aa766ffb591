"""HTTP and WebSocket, thin: what crosses the wire becomes a call of a service, and back.

One module per noun. Nothing here decides anything about GPUs; services and the broker do.
"""
