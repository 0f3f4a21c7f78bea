"""What a hospital does with pretrained weights: DAPT, features, linear probe, fine-tuning, LP-FT.

Each module runs one kind of unit of work (`chex_jobs.sweep.units`). All data come through `view.AdaptationData`, which
has no test films. Which units are run, and in which order, lies in `chex_jobs.sweep`.
"""
