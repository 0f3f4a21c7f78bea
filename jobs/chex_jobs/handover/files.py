"""Names of the files in a finished stage that somebody else reads: another stage, a command, or people."""

# pretrain
IMAGE_ENCODER = "image_encoder.safetensors"
TEXT_ENCODER = "text_encoder.safetensors"
"""Of pretraining runs and DAPT: the encoders, under `state_dict` names."""
OBJECTIVE = "objective.safetensors"
"""The whole objective, heads and queue included."""
PROGRESS = "progress.jsonl"
"""A line for each report of the training (`chex_jobs.training.progress`)."""
TRAINING = "training.json"
"""The summary once more, for people who open the folder."""
TRAINED_ON = "trained-on.txt"
"""The list of what weights were trained on: in a pretraining's artifact, or beside weights that somebody gives away."""

# adapt
ARMS = "arms.json"
"""The arms and their final models (`chex_jobs.handover.arms_document`)."""

# evaluate
METRICS = "metrics.json"
"""The results of one hospital (`chex_jobs.evaluation.results`)."""
PREDICTIONS = "predictions.parquet"
LEDGER = "ledger.jsonl"

# report
PAGE = "report.html"
RESULTS = "results.json"
"""The exact record, which is not to be passed on."""
TABLE = "results.parquet"
MODEL_CARD = "model-card.md"
"""Of each model folder."""

# any stage that failed
FAILURE = "failure.txt"
"""In an attempt's folder: an unexpected exception with its traceback."""
