"""Places as people have them: names with blanks, percent signs, tildes, other scripts; options that make no sense; other encodings."""

import copy
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chex_api.loading import ManifestError, validate_job
from chex_jobs.artifacts import open_storage
from chex_jobs.artifacts.errors import InvalidLocation
from chex_jobs.artifacts.location import Location, file_uri
from chex_jobs.cli.main import main
from chex_jobs.cli.manifests import as_uri
from tests.patience import PATIENCE_SECONDS
from tests.pipeline.manifest import tiny_job
from tests.unit.data.films import drawn_film, png

NAMES = [
    "two words",
    " blanks around ",
    "100%",
    "50%25 off",
    "a%20b",
    "~",
    "~nobody",
    "a=b",
    "Röntgen/Thorax (März)",
    "胸部X線",
    "e\u0301",
    "a\u00a0b\u3000c",
    "what?#1&2+3;4,5:6@7!$'\"",
    "caf\udce9",  # the byte 0xE9, which is no UTF-8
    "-dash",
]
FILMS = 80


@pytest.mark.parametrize("name", NAMES)
def test_a_path_becomes_a_uri_of_the_same_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = tmp_path / name
    for written in (f"./{name}", str(wanted)):
        uri = as_uri(written)
        assert Location.parse(uri).directory == wanted
        assert not any(character.isspace() for character in uri)
    assert Location.parse(Location.parse(uri).uri).directory == wanted


@pytest.mark.parametrize("name", NAMES)
def test_a_uri_is_accepted_in_a_manifest(name: str, tmp_path: Path) -> None:
    assert validate_job(tiny_job(as_uri(str(tmp_path / name)).encode(errors="replace").decode())).faults == ()


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_any_name_that_a_disk_may_have_survives_or_is_refused(name: str) -> None:
    path = Path("/data") / name.replace("/", "-")
    try:
        location = Location.parse(file_uri(path))
    except InvalidLocation:
        assert any(ord(character) < 32 or character == "\x7f" for character in name)
    else:
        assert location.directory in (path, path.resolve())


def test_what_is_stored_in_such_a_folder_is_found_there(tmp_path: Path) -> None:
    for name in NAMES:
        storage = open_storage(as_uri(str(tmp_path / name)))
        storage.write_bytes("a key%20/b", b"here")
        assert (tmp_path / name / "a key%20" / "b").read_bytes() == b"here"
        assert open_storage(storage.uri).read_bytes("a key%20/b") == b"here"


def test_a_tilde_is_a_home_also_where_a_shell_leaves_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "my home"))
    assert Location.parse(as_uri("~/films")).directory == tmp_path / "my home" / "films"
    monkeypatch.chdir(tmp_path)
    assert Location.parse(as_uri("./~/films")).directory == tmp_path / "~" / "films"


def test_dots_are_resolved_and_not_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert Location.parse(as_uri("../films")).directory == tmp_path.resolve() / "films"


def test_escapes_of_a_uri_are_decoded_and_blanks_in_it_allowed_on_a_command_line() -> None:
    assert Location.parse(as_uri("file:///data/my%20films/100%25")).directory == Path("/data/my films/100%")
    assert Location.parse(as_uri("file:///data/my films")).directory == Path("/data/my films")
    assert as_uri("s3://bucket/a%20b") == "s3://bucket/a%20b"


@pytest.mark.parametrize("location", ["", "s3:/bucket", "file:/data", "gs://bucket/a", "https://host/a"])
def test_what_is_neither_path_nor_uri_is_refused(location: str) -> None:
    with pytest.raises(ManifestError):
        as_uri(location)


def test_a_percent_sign_that_begins_no_escape_stands_for_itself() -> None:
    assert Location.parse("file:///data/100%").directory == Path("/data/100%")
    assert Location.parse("file:///data/50%off").directory == Path("/data/50%off")


def test_a_blank_in_a_uri_of_a_manifest_is_told_how_to_be_written() -> None:
    (fault,) = validate_job(tiny_job("file:///data/my films")).faults
    assert "%20 for a space" in fault.message


def hospital_folder(folder: Path) -> dict[str, object]:
    """A few films with their table; the source that names them by a place that does not exist."""
    folder.mkdir(parents=True)
    with (folder / "the films.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "patient", "Effusion"])
        for number in range(FILMS):
            name = f"film {number} 100% é.png"
            (folder / name).write_bytes(png(drawn_film(number, 32, 32)))
            table.writerow([name, f"p{number}", number % 2])
    return {
        "table": {
            "uri": "file:///not/there",
            "file": "the films.csv",
            "image": {"column": "file"},
            "patientColumn": "patient",
        }
    }


@pytest.mark.parametrize("name", ["two words", "50%25 off", "~", "a=b", "胸部 Röntgen"])
def test_plan_reads_manifest_source_and_artifacts_in_such_folders(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache of mine"))
    monkeypatch.chdir(tmp_path)
    manifest = tiny_job("file:///not/there/either")
    manifest["spec"]["datasets"][0]["source"] = hospital_folder(tmp_path / name)
    path = tmp_path / name / "job é.json"
    path.write_text(json.dumps(manifest), encoding="utf-8")
    arguments = [f"./{name}/job é.json", f"--artifacts=./{name}/artifacts", f"--source=archive=./{name}"]
    code = main(["plan", *arguments, "-o", "json"])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    told = json.loads(printed.out)
    assert Location.parse(told["artifacts"]).directory == tmp_path / name / "artifacts"
    assert told["datasets"]["archive"]["films"] == FILMS


def chex(*arguments: str | bytes, **options: object) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, **options.pop("environment", {})}  # pyright: ignore[reportGeneralTypeIssues, reportCallIssue, reportArgumentType]
    return subprocess.run(
        [sys.executable, "-m", "chex_jobs.cli", *arguments],
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        check=False,
        env=environment,
        **options,  # pyright: ignore[reportArgumentType, reportCallIssue]
    )


@pytest.mark.parametrize(
    "cpus", ["-1", "0", "nan", "NaN", "1e3", "2.5", "inf", "", "two", "100000", "9" * 40, "٣", "1_0"]
)
def test_nonsense_for_cores_is_wrong_usage(cpus: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "job.yaml", f"--cpus={cpus}"])
    assert ended.value.code == 2
    assert "--cpus" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", ""],
        ["logs", "job", "--attempt=0"],
        ["logs", "job", "--attempt=-3"],
        ["predict", "model", ""],
        ["report", "job.yaml", "--save="],
    ],
)
def test_nonsense_for_other_options_is_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


@pytest.mark.parametrize("arguments", [["--artifacts="], ["--artifacts=s3:/b"], ["--source=archive="]])
def test_a_location_that_is_none_is_wrong_usage(arguments: list[str], tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    path.write_text(json.dumps(tiny_job("file:///x")))
    assert main(["plan", str(path), *arguments]) == 2


def test_a_model_that_is_no_place_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "gs://models/a", "film.png"]) == 2
    assert "gs://" in capsys.readouterr().err


def test_a_standard_input_that_was_closed_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["validate", "-"]) == 2
    assert "cannot read standard input: Bad file descriptor" in capsys.readouterr().err


MANIFEST = json.dumps(tiny_job("file:///x")).encode()
IN_LATIN_1 = b'{\n"kind": "R\xf6ntgen"}'


@pytest.mark.parametrize("where", ["file", "standard input"])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(IN_LATIN_1, b"line 2 has the byte 0xf6", id="latin 1"),
        pytest.param(MANIFEST.decode().encode("utf-16"), b"it is UTF-16 text", id="utf-16"),
        pytest.param(b"\xff\xfe\x00\x01", b"UTF", id="bytes"),
    ],
)
def test_a_manifest_that_is_not_utf8_is_wrong_usage_wherever_it_comes_from(
    where: str, content: bytes, told: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "job.yaml"
    path.write_bytes(content)
    done = (
        chex("validate", str(path)) if where == "file" else chex("validate", "-", input=content)  # pyright: ignore[reportArgumentType]
    )
    assert done.returncode == 2
    assert told in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_standard_input_is_utf8_whatever_the_locale(encoding: str) -> None:
    manifest = copy.deepcopy(tiny_job("file:///x"))
    manifest["spec"]["datasets"][1]["tasks"][0]["column"] = "Ergüsse 胸水"
    content = b"\xef\xbb\xbf" + json.dumps(manifest, ensure_ascii=False).encode()
    environment = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = chex("validate", "-", input=content, environment=environment)  # pyright: ignore[reportArgumentType]
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("form", ["json", "yaml", None])
def test_a_locale_without_a_character_is_no_reason_to_fail(form: str | None, tmp_path: Path) -> None:
    folder = tmp_path / "胸部"
    folder.mkdir()
    path = folder / "job.json"
    path.write_text(json.dumps(tiny_job(as_uri(str(folder)))))
    words = ["-o", form] if form else []
    done = chex("plan", str(path), "--no-preflight", *words, environment={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    if form == "json":
        assert json.loads(done.stdout)["artifacts"] == as_uri(str(folder))


def test_a_name_that_is_no_utf8_is_printed_and_not_fatal(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.json"
    Path(os.fsdecode(path)).write_bytes(MANIFEST)
    done = chex("validate", path, environment={"PYTHONIOENCODING": "utf-8"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(b"caf\\udce9.json: valid\n")
