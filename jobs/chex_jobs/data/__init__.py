"""Films, reports and labels: from the form in which they are published to the batches that a training step sees.

    tables/      cells of text from CSV, Excel and Parquet
    records/     what a source says of each film; views, ages, patient ids, paths
    labels/      where a cell becomes a label
    sources/     one module for each published format, and what a source declares before any film is opened
    phantom/     generated films and reports
    decoding/    bytes to a grey picture, DICOM included, in a process of its own
    splits/      patients' parts and folds
    dataset/     what ingest leaves, and `ChestXrayDataset`, which reads it
    ingest/      the ingest stage, in resumable chunks
    reports/     sections, sentences and tokens
    loading/     batches, and how films are varied
    errors       the exceptions, as one tree
    keyed_random, cores     random numbers by purpose; CPU cores that may be used

Here is nothing that knows of a model. Patient ids, file names and reports stay in the artifact's `private/`.
"""
