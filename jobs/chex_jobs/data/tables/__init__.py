"""Tables as people have them, however they are stored: cells of text, before anything is known of what they mean."""
