"""A whole job in folders with names as people have them."""

import os
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.pipeline.manifest import tiny_job
from tests.pipeline.runs import results_of, run_to_end
from tests.pipeline.undisturbed import FinishedRun


def test_names_of_folders_change_no_result(
    undisturbed: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Artifacts, manifest, cache and temporary files below blanks, percent signs and other scripts, longer than sockets may be."""
    folder = tmp_path / "Röntgen 100%25 a=b ~ 胸部"
    temporary = folder / ("long" * 20)
    temporary.mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache of mine"))
    manifest = tiny_job(f"file://{quote(os.fsencode(folder))}/artifacts")
    run_to_end(manifest, folder)
    assert (folder / "artifacts" / "stages").is_dir()
    assert results_of(manifest) == undisturbed.results
