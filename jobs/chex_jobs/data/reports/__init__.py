"""Reports: their sections, the sentences that a step sees, and their tokens."""
