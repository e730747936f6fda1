"""The HTTP API under `/api/v1`: one resource a module, thin over views and the Engine."""
