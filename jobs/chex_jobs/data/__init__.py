"""Films, reports and labels: from the form in which they are published to the batches that a training step sees.

    sources/    one module for each published format: which films there are, and what its table says of them
    phantom/    generated films and reports
    tables, columns, records, views      cells of a source's table, and the rows that they make
    declaration                          what a source declares, before any film is opened
    errors                               the exceptions, as one tree
    faults, quarantine, duplicates       what is wrong with a film, and the table of those that were set aside
    decode, dicom                        bytes to a grey picture; decoder_process and limited_decoder run them safely
    labels, splits, summary              tasks, patients' parts, counts
    chunks, ingest, ray_mapper           the ingest stage, in resumable chunks
    shards, index, dataset               what ingest leaves, and `ChestXrayDataset`, which reads it
    augmentation, text, tokens, order, prefetch, loading, keyed_random     batches

Here is nothing that knows of a model. Patient ids, file names and reports stay in the artifact's `private/`.
"""
