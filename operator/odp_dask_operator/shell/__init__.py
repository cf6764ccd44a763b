"""Touches the world for the operator: the API server, the network, the clock, the process. What to do is decided in `core`."""
