"""A data set on disk after ingest, and whoever reads it: films, patients, parts, labels, metadata, fingerprints."""
