"""Running a plan on this machine: preflight, then every unfinished stage in order, with one Ray for all of them."""
