"""A complete manifest as plain data, and generators of changes to it."""

import copy
from typing import Any

COMPLETE: dict[str, Any] = {
    "apiVersion": "chexdragon.dev/v1alpha1",
    "kind": "ChexTrainingJob",
    "metadata": {"name": "network", "namespace": "radiology"},
    "spec": {
        "seed": 7,
        "artifacts": {"uri": "s3://models/network"},
        "datasets": [
            {
                "name": "archive",
                "source": {"covidChestXray": {"uri": "s3://data/archive"}},
                "split": {"patients": {"validate": 0.1, "test": 0.1}},
            },
            {
                "name": "north",
                "source": {
                    "table": {
                        "uri": "s3://north/cxr",
                        "file": "data.csv",
                        "image": {"column": "film"},
                        "patientColumn": "patient",
                    }
                },
                "split": {"patients": {}},
                "tasks": [
                    {"name": "icu", "column": "icu", "positive": {"present": {}}},
                    {"name": "effusion", "column": "findings", "positive": {"values": ["Effusion"]}},
                ],
            },
            {
                "name": "south",
                "source": {"phantom": {"patients": 100}},
                "split": {"groupedFolds": 3},
                "tasks": [{"name": "icu", "column": "icu", "positive": {"present": {}}}],
            },
        ],
        "encoders": {
            "image": {"architecture": "densenet121", "size": 64},
            "text": {"init": {"uri": "s3://models/bert"}},
        },
        "pretraining": [
            {
                "name": "ssl",
                "dataset": "archive",
                "objective": {"moCo": {"queueSize": 512}},
                "optimization": {"globalBatchSize": 64},
                "workers": {"count": 2},
            },
            {
                "name": "multimodal",
                "dataset": "archive",
                "startFrom": {"stage": "ssl"},
                "objective": {"clip": {}},
            },
        ],
        "hospitals": [
            {
                "name": "north",
                "dataset": "north",
                "tasks": ["icu"],
                "startFrom": [{"stage": "ssl"}, {"stage": "multimodal"}, {"random": {}}],
                "strategies": [{"name": "probe", "transfer": "LinearProbe"}],
                "evaluation": {"alsoOn": ["south"]},
            },
            {
                "name": "south",
                "dataset": "south",
                "tasks": ["icu"],
                "startFrom": [{"random": {}}],
                "strategies": [{"name": "fine-tune", "transfer": "FineTune"}],
            },
        ],
    },
}

DIGESTS = {
    "datasets/archive": "a" * 64,
    "datasets/north": "b" * 64,
    "datasets/north/tasks/icu": "e" * 64,
    "encoders/text": "c" * 64,
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The complete manifest with one field, such as `spec.datasets[1].unit`, set to another value."""
    plain = copy.deepcopy(COMPLETE)
    *parents, last = [
        int(part) if part.isdigit() else part for part in path.replace("]", "").replace("[", ".").split(".")
    ]
    target: Any = plain
    for part in parents:
        target = target[part] if isinstance(part, int) else target.setdefault(part, {})
    target[last] = value
    return plain
