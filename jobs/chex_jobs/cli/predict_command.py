"""`chex predict`."""

import argparse
import math
import sys
from pathlib import Path
from typing import Any

from chex_jobs.cli.main import FAILED
from chex_jobs.cli.manifests import as_uri
from chex_jobs.cli.output import print_plain


def execute(arguments: argparse.Namespace) -> int:
    """Score each film; a film that cannot be used is named, and the others are still scored."""
    from chex_jobs.data.faults import FilmError
    from chex_jobs.deployment.bundle import BundleError
    from chex_jobs.deployment.load import load_bundle

    try:
        scorer = load_bundle(as_uri(arguments.model))
    except BundleError as error:
        print(f"chex predict: {error}", file=sys.stderr)
        return FAILED
    rows: list[dict[str, Any]] = []
    failed = False
    for image in arguments.images:
        try:
            logits = scorer.logits(Path(image).read_bytes())
        except (FilmError, OSError) as error:
            failed = True
            reason = error.strerror if isinstance(error, OSError) else error
            print(f"chex predict: {image}: {reason}", file=sys.stderr)
            continue
        rows += [
            _row(image, task, float(logit)) for task, logit in zip(scorer.config.tasks, logits, strict=True)
        ]
    if arguments.output:
        print_plain(
            {"model": arguments.model, "use": scorer.config.use, "predictions": rows}, arguments.output
        )
    else:
        _print_table(rows)
    return FAILED if failed else 0


def _row(image: str, task: Any, logit: float) -> dict[str, Any]:
    scaled = logit / (task.temperature or 1.0)
    return {
        "image": image,
        "task": task.name,
        "logit": logit,
        "probability": 0.5 * (1.0 + math.tanh(scaled / 2)),  # the sigmoid, without overflow
        "calibrated": task.temperature is not None,
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    print("Research use only. Not a medical device.")
    width = max([len(row["image"]) for row in rows], default=5)
    print(f"{'image':<{width}}  {'task':<20}  {'logit':>9}  probability")
    for row in rows:
        note = "" if row["calibrated"] else "  (not calibrated)"
        print(
            f"{row['image']:<{width}}  {row['task']:<20}  {row['logit']:>9.4f}  {row['probability']:.4f}{note}"
        )
