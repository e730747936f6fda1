"""The engine: the only place that runs anything."""
