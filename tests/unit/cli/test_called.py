"""Hints name the program as it was called, so that they can be copied."""

import json
import sys
from pathlib import Path

import pytest

from chex_jobs.cli.arguments import called
from chex_jobs.cli.main import main
from chex_jobs.executor.local import LocalExecutor
from chex_jobs.handover.context import StageStopped
from chex_jobs.stages.errors import StageFailed
from tests.pipeline.manifest import tiny_job


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program in the one folder of PATH."""
    program = tmp_path / "chex"
    program.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return program


def test_a_program_called_by_a_path_is_named_by_it(on_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [".venv/bin/chex", "run", "job.yaml"])
    assert called() == ".venv/bin/chex"


def test_a_path_that_a_shell_would_take_apart_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["my tools/chex"])
    assert called() == "'my tools/chex'"


def test_a_program_that_path_finds_is_named_alone(on_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(on_path)])
    assert called() == "chex"


def test_a_plugin_is_named_as_kubectl_is_asked_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/opt/bin/kubectl-chex"])
    assert called() == "kubectl chex"


def test_a_module_is_named_with_its_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/chex_jobs/cli/__main__.py"])
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    assert called() == "/usr/bin/python3 -m chex_jobs.cli"


@pytest.mark.parametrize("ending", [StageFailed("ingest/north", "no film", user_error=True), StageStopped()])
def test_a_run_that_ended_early_goes_on_with_the_words_that_were_typed(
    ending: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def end(_: object) -> None:
        raise ending

    (tmp_path / "job.json").write_text(json.dumps(tiny_job(f"file://{tmp_path}/artifacts")))
    words = ["run", str(tmp_path / "job.json")]
    monkeypatch.setattr(LocalExecutor, "run", end)
    monkeypatch.setattr(sys, "argv", [".venv/bin/chex", *words])
    main(words)
    assert capsys.readouterr().err.endswith(f"o on with: .venv/bin/chex run {tmp_path}/job.json\n")
