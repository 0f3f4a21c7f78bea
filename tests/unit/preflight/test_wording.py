"""An outlook in lines for people."""

from dataclasses import asdict
from typing import Any

from chex_jobs.data.records.findings import Finding, Kind
from chex_jobs.preflight.sentences import MOST_LINES, dataset_lines


def lines(*findings: Finding, with_names: bool = True) -> list[str]:
    outlook: dict[str, Any] = {"films": 3, "patients": 2, "training_films": 1, "tasks": []}
    outlook["findings"] = [asdict(finding) for finding in findings]
    return [line.strip() for line in dataset_lines("north", outlook, with_names=with_names)][1:]


def spelled(spelling: str, count: int, *, subject: str = "task 'icu'") -> Finding:
    return Finding(
        kind=Kind.COUNTED_AS_NO, reason="not in positive.values", count=count, row=count + 1,
        subject=subject, spelling=spelling,
    )  # fmt: skip


def test_spellings_of_one_column_stand_in_one_line() -> None:
    assert lines(spelled("ward", 7), spelled("home", 2), spelled("ward", 5, subject="task 'death'")) == [
        "counted as no: task 'icu': not in positive.values: 'ward' 7 (such as row 8), 'home' 2 (such as row 3)",
        "counted as no: task 'death': not in positive.values: 'ward' 5 (such as row 6)",
    ]


def test_names_of_files_are_for_the_terminal_alone() -> None:
    missing = Finding(kind=Kind.UNUSABLE, reason="its file is missing", count=4, private="wanted a.png")
    assert lines(missing) == ["cannot be used: its file is missing: 4 (wanted a.png)"]
    assert lines(missing, with_names=False) == ["cannot be used: its file is missing: 4"]


def test_a_long_list_ends_with_the_number_of_the_rest() -> None:
    many = [spelled("x", 1, subject=f"task '{number}'") for number in range(MOST_LINES + 3)]
    found = lines(*many)
    assert len(found) == MOST_LINES + 1
    assert found[-1] == "… and 3 more findings; `-o json` lists them"
