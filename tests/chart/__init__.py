"""The chart: what Helm makes of it, and what holds for that whatever the values are."""
