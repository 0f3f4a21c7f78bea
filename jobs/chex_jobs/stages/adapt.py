"""`adapt/<hospital>`: everything about a hospital's models that training and validation patients decide."""
