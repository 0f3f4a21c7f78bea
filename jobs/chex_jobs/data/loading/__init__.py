"""Batches: which films form one, how each is varied, and how they are made ahead of the step that uses them."""
