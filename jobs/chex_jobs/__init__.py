"""Everything a stage runs: data, models, objectives, training, adaptation, sweeps, evaluation, reports, artifacts."""
