"""The deployable model: a folder that anyone can load, check on the spot, and score a film with.

    model.safetensors     weights of every member (final seeds, of every grouped fold)
    config.json           architecture, tasks, unit, each member's slope and intercept, thresholds, provenance
    preprocessing.json    every step from file to the square that the model sees, in words and numbers
    golden.npz            generated films, never a patient's, and their logits
    model.onnx            the same model for other runtimes, normalisation, scaling and mean over members included
    golden-film.png       a generated film as a file; golden.npz has its logits, too
    example.py            from a film's file to probabilities with numpy, Pillow and onnxruntime alone
    SHA256SUMS            checksum of each file above

Belongs here: making, checking and using such a folder. Not: which model is deployed (`evaluation`), or how films are
decoded (`data`).
"""
