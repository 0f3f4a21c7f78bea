"""`chex` where only the extra `cli`, or no extra, is installed: what it has, works; what it lacks is named."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chex_jobs.artifacts import ArtifactStore
from tests.unit.cli.cluster_jobs import stage
from tests.unit.cli.fake_kubectl import give_kubectl

WITHOUT_EXTRAS = """
import sys

class Absent:
    installed = sys.stdlib_module_names | {
        "chex_api", "chex_jobs", "pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection", "yaml"
    }

    def find_spec(self, name, path=None, target=None):
        package = name.partition(".")[0]
        if package not in self.installed and not package.startswith("_"):  # private ones are the standard library's
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from chex_jobs.cli import main
"""
BASE_COMMANDS = ("validate", "crds", "submit", "status", "logs", "cancel", "resume", "report")
IDENTITY = "0123456789ab" + "c" * 52


def ran_without_extras(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """`chex` with these words, where only the packages are installed that every installation has."""
    return subprocess.run(
        [sys.executable, "-c", f"{WITHOUT_EXTRAS}\nsys.exit(main({list(words)!r}))"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


@pytest.mark.parametrize("command", BASE_COMMANDS)
def test_a_command_that_runs_no_stage_is_imported_without_extras(command: str) -> None:
    script = f"{WITHOUT_EXTRAS}\nimport chex_jobs.cli.{command}_command"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr == ""


@pytest.mark.parametrize(
    "words", [("status", "network"), ("logs", "network"), ("cancel", "network"), ("report", "network")]
)
def test_a_failing_kubectl_is_one_line_without_extras(words: tuple[str, ...]) -> None:
    done = ran_without_extras(*words, KUBECTL="/no/such/kubectl")
    assert done.returncode == 1
    assert done.stderr.startswith(f"chex {words[0]}: cannot start '/no/such/kubectl'")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "words", [("plan", "job.yaml"), ("run", "job.yaml"), ("predict", "model", "film.png")]
)
def test_a_command_that_needs_stages_names_the_extra_that_it_lacks(words: tuple[str, ...]) -> None:
    done = ran_without_extras(*words)
    assert done.returncode == 1
    assert done.stderr.startswith(f"chex {words[0]}: the Python package ")
    assert done.stderr.endswith("pip install '.[jobs]'\n")
    assert len(done.stderr.splitlines()) == 1


def test_a_bucket_that_cannot_be_asked_names_the_extra_of_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_kubectl(tmp_path, monkeypatch, stages=[stage("pretrain/ssl", "Failed", identity=IDENTITY)])
    done = ran_without_extras("logs", "network")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "chex logs: the Python package boto3 is not installed; install CheXDragon with it: pip install '.[cli]'"
    )


def test_a_report_in_a_folder_is_found_without_extras(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = ArtifactStore.open(f"file://{tmp_path}").stage("report", "network", IDENTITY).attempt("one")
    attempt.write_bytes("report.html", b"<h1>the evidence</h1>")
    report = attempt.commit({"page": f"{attempt.uri}/report.html"})
    pinned = {"manifestURI": report.manifest_uri, "manifestSha256": report.manifest_sha256}
    give_kubectl(tmp_path, monkeypatch, stages=[stage("report/network", "Finished", **pinned)])
    done = ran_without_extras("report", "network")
    assert (done.stdout, done.stderr) == (f"{attempt.uri}/report.html\n", "")
