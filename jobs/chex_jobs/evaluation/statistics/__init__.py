"""Statistics over predictions: pure, numpy and scipy only. docs/statistics.md holds formulas and sources."""
