"""Which patients train, validate and test, and in which fold."""
