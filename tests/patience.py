"""How long tests wait for what must come."""

PATIENCE_SECONDS = 300.0
"""A wait that ends well ends early, so a long one costs nothing but on failure; a short one fails on a busy machine. Below the
ten minutes that a test may take, so that the wait itself says what did not come."""
