"""What a source says of each film: who, which study, view and age, which file; and what was found worth reporting."""
