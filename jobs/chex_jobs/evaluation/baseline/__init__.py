"""What can be predicted without looking at the film."""
