"""The controller of `ChexTrainingJob`. No behaviour yet."""
