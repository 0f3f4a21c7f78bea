"""The images' recipes keep their promises: pinned, hashed, small in what they take in, and not root."""

import fnmatch
import re
import subprocess
from pathlib import Path

import pytest

from tests.unit.infra.dockerfile import Dockerfile, Stage, instructions, read_dockerfile
from tests.unit.infra.test_image_locks import pins

ROOT = Path(__file__).parents[3]
IMAGES = ROOT / "infra" / "images"
PATHS = {path.name: path for path in sorted(IMAGES.glob("*.Dockerfile"))}
TORCH_FOR_CPU = 'pip install --only-binary=:all: --index-url "${TORCH_INDEX}" --requirement /build/torch.txt'
"""The one install that no lock can hash; infra/images/jobs.Dockerfile says why."""

recipe = pytest.fixture(params=list(PATHS))(lambda request: read_dockerfile(PATHS[request.param]))


def test_there_are_two_recipes() -> None:
    assert list(PATHS) == ["jobs.Dockerfile", "operator.Dockerfile"]


def is_ours(recipe: Dockerfile, base: str) -> bool:
    """Whether a base is a stage of the same recipe, `with-${VARIANT}` being one for each variant."""
    pattern = re.sub(r"\$\{\w+\}", "*", base)
    return pattern != "*" and any(
        stage.name and fnmatch.fnmatch(stage.name, pattern) for stage in recipe.stages
    )


def test_the_base_is_given_by_digest_and_has_no_default(recipe: Dockerfile) -> None:
    foreign = [stage for stage in recipe.stages if not is_ours(recipe, stage.base)]
    assert {stage.base for stage in foreign} == {"${PYTHON_IMAGE}"}
    assert recipe.arguments["PYTHON_IMAGE"] == ""
    first = recipe.stages[0].instructions
    assert [each.name for each in first[:2]] == ["ARG", "RUN"]
    assert "*@sha256:*) ;; *)" in first[1].rest
    assert "exit 1" in first[1].rest


def test_the_image_runs_as_a_numbered_user_that_is_not_root(recipe: Dockerfile) -> None:
    users = [each.rest for each in recipe.stages[-1].all("USER")]
    assert len(users) == 1
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[0])


def test_the_users_are_those_that_the_pods_run_as() -> None:
    chart = (ROOT / "charts" / "chex-operator" / "templates" / "_helpers.tpl").read_text()
    pods = (ROOT / "operator" / "chex_operator" / "rendering" / "pods.py").read_text()
    user = {name: read_dockerfile(path).stages[-1].all("USER")[0].rest for name, path in PATHS.items()}
    assert f"runAsUser: {user['operator.Dockerfile'].split(':')[0]}" in chart
    assert f"USER_ID = {user['jobs.Dockerfile'].split(':')[0]}" in pods


def test_nothing_is_added_from_afar_and_nothing_is_called_latest(recipe: Dockerfile) -> None:
    every = [each for stage in recipe.stages for each in stage.instructions]
    text = " ".join(each.rest for each in every)
    assert "ADD" not in {each.name for each in every}
    assert not re.search(r":latest\b|\bcurl\b|\bwget\b|\bsudo\b|chmod (-R )?777|apt-get|apk add", text)


def test_packages_come_from_a_lock_with_hashes(recipe: Dockerfile) -> None:
    installs = [
        each.rest
        for stage in recipe.stages
        for each in stage.all("RUN")
        if "pip install" in each.rest and TORCH_FOR_CPU not in each.rest
    ]
    assert installs
    for install in installs:
        assert "--require-hashes" in install
        assert re.search(r"--requirement /build/requirements[a-z-]*\.lock", install)


def test_no_build_fetches_tools_that_no_lock_names(recipe: Dockerfile) -> None:
    """Hashes hold for what pip is asked to install, not for what an isolated build installs for itself."""
    for words in (each.words for stage in recipe.stages for each in stage.all("RUN") if "pip" in each.words):
        assert "--only-binary=:all:" in words
        assert ("--no-build-isolation" in words) is any(word.startswith("--no-binary") for word in words)


def test_what_builds_from_source_is_of_the_lock(tmp_path: Path) -> None:
    """The recipe's own command takes it out of the lock, whole, and before anything is built."""
    build = next(stage for stage in read_dockerfile(PATHS["jobs.Dockerfile"]).stages if stage.name == "build")
    (words,) = (each.words for each in build.all("RUN") if "awk" in each.words)
    lock, taken = IMAGES / "requirements-jobs.lock", tmp_path / "taken.lock"
    assert words[words.index("awk") + 2 : words.index("&&")] == [
        "/build/requirements-jobs.lock", ">", "/build/requirements-build.lock",
    ]  # fmt: skip
    assert words[-2:] == ["--requirement", "/build/requirements-build.lock"]
    command = ["awk", words[words.index("awk") + 1], str(lock)]
    taken.write_text(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert pins(taken) == {"setuptools": pins(lock)["setuptools"]}
    order = [each.name for each in build.instructions]
    assert order.index("ENV") > max(index for index, name in enumerate(order) if name == "RUN")


def test_nothing_is_installed_in_the_last_stage(recipe: Dockerfile) -> None:
    assert not [each for each in recipe.stages[-1].all("RUN") if "install" in each.words]


def test_commands_are_started_without_a_shell(recipe: Dockerfile) -> None:
    started = recipe.stages[-1].all("ENTRYPOINT") + recipe.stages[-1].all("CMD")
    assert started
    assert all(each.rest.startswith("[") for each in started)


def test_no_secret_is_an_argument_or_a_variable(recipe: Dockerfile) -> None:
    names = [
        *recipe.arguments,
        *(each.rest for stage in recipe.stages for each in stage.all("ARG") + stage.all("ENV")),
    ]
    assert not [name for name in names if re.search(r"TOKEN|PASSWORD|SECRET|CREDENTIAL", name)]


def copied(stage: Stage) -> list[str]:
    """Sources of COPY that are of the build context."""
    return [source for each in stage.all("COPY") if "--from=" not in each.rest for source in each.words[:-1]]


def test_what_is_copied_exists_and_reaches_the_builder(recipe: Dockerfile) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    admitted = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    sources = [source for stage in recipe.stages for source in copied(stage)]
    assert sources
    for source in sources:
        assert (ROOT / source).exists()
        assert any(fnmatch.fnmatch(source, pattern) for pattern in admitted), source


def test_nothing_else_reaches_the_builder() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    wanted = {
        source
        for path in PATHS.values()
        for stage in read_dockerfile(path).stages
        for source in copied(stage)
    }
    assert lines[0] == "*"
    for pattern in (line.removeprefix("!") for line in lines if line.startswith("!")):
        assert fnmatch.filter(sorted(wanted), pattern), f"{pattern} is admitted for nothing"


def test_the_operators_image_holds_no_code_of_the_jobs() -> None:
    sources = [
        source for stage in read_dockerfile(PATHS["operator.Dockerfile"]).stages for source in copied(stage)
    ]
    assert not [source for source in sources if "jobs" in source]


def test_packages_that_are_copied_know_their_version(recipe: Dockerfile) -> None:
    """Both programs ask for it when they run: without metadata they would end there."""
    runs = [each.rest for stage in recipe.stages for each in stage.all("RUN")]
    assert any("write_metadata.py /build/pyproject.toml /chex" in run for run in runs)


def test_variants_of_the_jobs_image_are_those_that_are_described() -> None:
    stages = {stage.name for stage in read_dockerfile(PATHS["jobs.Dockerfile"]).stages}
    assert {"with-cuda", "with-cpu"} <= stages
    assert read_dockerfile(PATHS["jobs.Dockerfile"]).arguments["VARIANT"] == "cuda"


def test_instructions_are_joined_and_split_as_docker_does() -> None:
    read = instructions('# a comment\nRUN one \\\n  # inside\n  && two\nCMD ["a", "b c"]\n')
    assert [(each.name, each.words) for each in read] == [
        ("RUN", ["one", "&&", "two"]),
        ("CMD", ["a", "b c"]),
    ]
