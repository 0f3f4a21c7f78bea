"""Entry points of the stages: thin modules that read a `StageSpec`, call the package that does the work, and commit."""
