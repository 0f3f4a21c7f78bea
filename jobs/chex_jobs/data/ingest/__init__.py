"""The `ingest` stage: every film decoded once, in resumable chunks, faulty ones set aside with a reason."""
