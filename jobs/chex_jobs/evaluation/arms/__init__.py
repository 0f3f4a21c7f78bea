"""What is said of arms: their statistics, which one validation chooses, what test patients show of it."""
