"""A finished report on this machine: its page to open, a copy to keep."""

from pathlib import Path

from chex_jobs.artifacts import FinishedArtifact
from chex_jobs.artifacts.cache import LocalCache
from chex_jobs.handover.files import MODEL_CARD, PAGE, RESULTS

MODELS = "models"


def page_to_open(report: FinishedArtifact) -> Path:
    """The page as a local file: the stored one where that is a file, else a copy in this user's cache.

    A browser reads it after this program has ended; so it stays, one small file for each report.
    """
    if is_local(report):
        return report.local_path(PAGE)
    folder = LocalCache.of_environment().directory.parent / "reports" / report.identity
    folder.mkdir(parents=True, exist_ok=True)
    report.copy(PAGE, folder / PAGE)
    return folder / PAGE


def is_local(report: FinishedArtifact) -> bool:
    """Whether its files lie in a folder of this machine."""
    return report.storage.location.scheme == "file"


def save(report: FinishedArtifact, folder: Path, *, models: bool) -> Path:
    """Copy what may be passed on: the page, the table, the model cards, with `models` the models; returns the page."""
    for path in report.files:
        if path != RESULTS and (models or not _is_of_model(path)):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            report.copy(path, target)
    return folder / PAGE


def _is_of_model(path: str) -> bool:
    return path.startswith(f"{MODELS}/") and not path.endswith(f"/{MODEL_CARD}")
