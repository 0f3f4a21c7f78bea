"""What an evaluation says, as values and as JSON: the contract between statistics and report."""
