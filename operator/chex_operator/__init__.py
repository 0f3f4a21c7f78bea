"""The controller of `ChexTrainingJob`: its runtime, its rendering and its first policies. Nothing joins them yet."""
