"""What can be wrong with a model that a manifest asks for.

ModelError
├── UnknownArchitecture   no encoder of that name
├── UnsupportedModel      a model that exists, but that cannot be a tower here
└── WeightsError          weights that are absent, of another model, or in a format that is not read
"""


class ModelError(Exception):
    """Base of all faults of models and their weights. Messages say what, where and what to do."""


class UnknownArchitecture(ModelError):
    """No encoder has the name that the manifest gives."""


class UnsupportedModel(ModelError):
    """The model exists but cannot be used as a tower: wrong family, wrong input size, or untrainable here."""


class WeightsError(ModelError):
    """Weights that are not there, do not fit the encoder, or would need unpickling."""
