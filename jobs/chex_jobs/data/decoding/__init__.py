"""From the bytes of a film to the grey picture that is stored, in a process that can lose nothing."""
