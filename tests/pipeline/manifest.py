"""The smallest job that has every kind of stage: seconds of arithmetic, most of a run is starting up."""

from typing import Any

TASKS = [{"name": "effusion", "column": "Effusion", "positive": {"values": ["1"]}}]
STRATEGY_ADDED_LATER = {
    "name": "fine-tune",
    "transfer": "FineTune",
    "fineTuning": {"epochs": 2, "batchSize": 16, "minSteps": 0},
}


def tiny_job(artifacts: str) -> dict[str, Any]:
    """A manifest over two phantoms: one pretraining, one hospital with folds of labels, three strategies."""
    return {
        "apiVersion": "chexdragon.dev/v1alpha1",
        "kind": "ChexTrainingJob",
        "metadata": {"name": "tiny"},
        "spec": {
            "artifacts": {"uri": artifacts},
            "datasets": [
                {
                    "name": "archive",
                    "source": {"phantom": {"patients": 60, "size": 32, "seed": 1}},
                    "storedShortSide": 32,
                    "split": {"patients": {"validate": 0.0, "test": 0.0}},
                },
                {
                    "name": "north",
                    "source": {
                        "phantom": {
                            "patients": 90,
                            "size": 32,
                            "hospital": 1,
                            "prevalence": [{"finding": "Effusion", "prevalence": 0.45}],
                        }
                    },
                    "storedShortSide": 32,
                    "split": {"patients": {"validate": 0.25, "test": 0.35}},
                    "tasks": TASKS,
                },
            ],
            "encoders": {"image": {"architecture": "chex-densenet-small", "size": 32}},
            "pretraining": [
                {
                    "name": "ssl",
                    "dataset": "archive",
                    "objective": {"moCo": {"queueSize": 64, "momentum": 0.9}},
                    "optimization": {"globalBatchSize": 16, "epochs": 6, "learningRate": 1e-3},
                    "batchNorm": {"groupSize": 8},
                    "checkpoint": {"everyMinutes": 0},
                    "workers": {"count": 2},
                }
            ],
            "hospitals": [
                {
                    "name": "north",
                    "dataset": "north",
                    "tasks": ["effusion"],
                    "startFrom": [{"stage": "ssl"}],
                    "strategies": [
                        {"name": "probe", "transfer": "LinearProbe"},
                        {
                            "name": "dapt-lp-ft",
                            "transfer": "LPFT",
                            "fineTuning": {"epochs": 2, "batchSize": 16, "minSteps": 0},
                            "dapt": {
                                "objective": {"moCo": {"queueSize": 32, "momentum": 0.9}},
                                "epochs": 1,
                                "configurations": 1,
                                "globalBatchSize": 16,
                            },
                        },
                    ],
                    "labelFractions": [0.5, 1.0],
                    "batchNorm": {"groupSize": 8},
                    "sweep": {
                        "trialsPerArm": 3,
                        "draws": 2,
                        "finalSeeds": 2,
                        "concurrency": 2,
                        "space": [{"parameter": "learningRate", "logUniform": {"min": 1e-4, "max": 1e-2}}],
                    },
                }
            ],
        },
    }
