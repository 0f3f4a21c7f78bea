"""Generated chest films and reports, for demonstrations and tests. Nothing measured on them is accuracy.

What the phantom is built to have in common with real archives, because each of these decides whether a method works:
anatomy and exposure vary far more than findings do; findings are weak, placed and sided; several films belong to one
patient, the sick have more of them; reports omit, negate, hedge and compare with films that nobody sees, each hospital
in its own words; some findings are in no report at all (novel tasks); view, age, sex and device tell something about
findings, so that a model of metadata alone is not at chance.

Here: settings, the hospitals, who has what (`population`), geometry (`anatomy`), pictures (`drawing`, `scanner`),
reports, and `generator.PhantomArchive`, which puts them together. Not here: files, splits, ingest.
"""
