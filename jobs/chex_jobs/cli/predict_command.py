"""`chex predict`."""

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chex_api.loading import ManifestError
from chex_jobs.cli.main import FAILED, WRONG_USAGE
from chex_jobs.cli.manifests import as_uri
from chex_jobs.cli.output import print_plain

if TYPE_CHECKING:
    from chex_jobs.deployment.load import Scorer, UnitScore


def execute(arguments: argparse.Namespace) -> int:
    """Score each unit; a film that cannot be used is named, and the units without it are still scored."""
    from chex_jobs.deployment.bundle import BundleError
    from chex_jobs.deployment.film_units import GroupingError, film_units
    from chex_jobs.deployment.load import load_bundle

    try:
        scorer = load_bundle(as_uri(arguments.model))
        units = film_units(
            scorer.config.unit,
            arguments.images,
            Path(arguments.table) if arguments.table else None,
            arguments.image_column,
            arguments.unit_column,
        )
    except BundleError as error:
        print(f"chex predict: {error}", file=sys.stderr)
        return FAILED
    except (GroupingError, ManifestError) as error:
        print(f"chex predict: {error}", file=sys.stderr)
        return WRONG_USAGE
    rows: list[dict[str, Any]] = []
    for unit, images in units.items():
        score = _score(scorer, unit, images)
        if score is not None:
            rows += _rows(scorer, unit, images, score)
    if arguments.output:
        print_plain(
            {
                "model": arguments.model,
                "use": scorer.config.use,
                "unit": scorer.config.unit,
                "predictions": rows,
            },
            arguments.output,
        )
    else:
        _print_table(scorer.config.unit, rows)
    return FAILED if len({row["unit"] for row in rows}) < len(units) else 0


def _score(scorer: "Scorer", unit: str, images: Sequence[str]) -> "UnitScore | None":
    """None where a film cannot be used: the mean over the others would be another score than the one that was tested."""
    from chex_jobs.data.decoding.faults import FilmError

    logits = []
    for image in images:
        try:
            logits.append(scorer.logits(Path(image).read_bytes()))
        except (FilmError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            print(f"chex predict: {image}: {reason}", file=sys.stderr)
    if len(logits) < len(images):
        if len(images) > 1:
            print(
                f"chex predict: {unit}: not scored, as {len(images) - len(logits)} of its {len(images)} films cannot be used",
                file=sys.stderr,
            )
        return None
    return scorer.score_unit(logits)


def _rows(scorer: "Scorer", unit: str, images: Sequence[str], score: "UnitScore") -> list[dict[str, Any]]:
    return [
        {
            "unit": unit,
            "image" if scorer.config.unit == "Image" else "images": unit
            if scorer.config.unit == "Image"
            else list(images),
            "task": task.name,
            "logit": logit,
            "probability": probability,
            "calibrated": task.calibrated,
            "decisions": [
                {
                    "wantedSpecificity": each.wanted_specificity,
                    "threshold": each.probability,
                    "positive": probability >= each.probability,
                }
                for each in task.thresholds
            ],
        }
        for task, logit in zip(scorer.config.tasks, score.logits, strict=True)
        for probability in (0.5 * (1.0 + math.tanh(logit / 2)),)  # the sigmoid, without overflow
    ]


def _print_table(unit: str, rows: Sequence[Mapping[str, Any]]) -> None:
    print("Research use only. Not a medical device.")
    width = max([len(row["unit"]) for row in rows], default=5)
    print(f"{unit.lower():<{width}}  {'task':<20}  {'logit':>9}  probability  positive at specificity")
    for row in rows:
        flagged = [f"{each['wantedSpecificity']:g}" for each in row["decisions"] if each["positive"]]
        asked = " ".join(flagged) if flagged else "none" if row["decisions"] else "no threshold"
        note = "" if row["calibrated"] else "  (not calibrated)"
        print(
            f"{row['unit']:<{width}}  {row['task']:<20}  {row['logit']:>9.4f}  {row['probability']:<11.4f}  {asked}{note}"
        )
