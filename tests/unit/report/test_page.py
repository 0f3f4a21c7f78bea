"""The page: one file that needs nothing else, says what the results say, and hides what must be hidden."""

import dataclasses
import re
from html.parser import HTMLParser

import pytest

from chex_jobs.evaluation.results import ArmVerdict, Estimate, HospitalResults, Results, Sufficiency
from chex_jobs.report import numbers
from chex_jobs.report.page import render_page

SCRIPT = "<script>alert(1)</script>"


class _Reader(HTMLParser):
    """Tags, references and cells of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self._in_cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.tables[-1][-1][-1] += data

    def table(self, *heading: str) -> list[list[str]]:
        """The rows of all tables whose heading starts with these cells."""
        return [
            row for table in self.tables if table[0][: len(heading)] == list(heading) for row in table[1:]
        ]


def _with_hospital(results: Results, **changes: object) -> Results:
    north, *others = results.hospitals
    return dataclasses.replace(results, hospitals=(dataclasses.replace(north, **changes), *others))  # pyright: ignore[reportArgumentType]


def _only(results: Results, name: str) -> tuple[Results, HospitalResults]:
    hospital = next(each for each in results.hospitals if each.hospital == name)
    return dataclasses.replace(results, hospitals=(hospital,), pretraining=(), archive_flows=()), hospital


def test_names_from_the_manifest_cannot_become_markup(results: Results) -> None:
    north = results.hospitals[0]
    cell = dataclasses.replace(north.subgroups[0], column=SCRIPT, level=SCRIPT)
    arms = (
        dataclasses.replace(
            north.arms[0], arm=dataclasses.replace(north.arms[0].arm, start=SCRIPT, strategy=SCRIPT)
        ),
        *north.arms[1:],
    )
    hostile = dataclasses.replace(
        _with_hospital(results, hospital=SCRIPT, subgroups=(cell,), arms=arms, warnings=(SCRIPT,)),
        job=SCRIPT,
        artifacts_uri=SCRIPT,
    )
    page = render_page(hostile, {SCRIPT: SCRIPT})
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 8


def test_the_page_refers_to_nothing_outside_itself(results: Results) -> None:
    page = render_page(results, {})
    reader = _Reader(page)
    assert not {tag for tag, _ in reader.tags} & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
    }
    for tag, attributes in reader.tags:
        for name in ("href", "src", "xlink:href", "srcset", "action"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)
    assert not re.search(r"url\(|@import|https?://", page)


def test_every_link_leads_to_a_section(results: Results) -> None:
    reader = _Reader(render_page(results, {}))
    targets = {attributes["id"] for _, attributes in reader.tags if "id" in attributes}
    links = {str(attributes["href"])[1:] for tag, attributes in reader.tags if tag == "a"}
    assert links
    assert links <= targets


def test_every_arm_stands_in_the_table_with_the_numbers_of_the_results(results: Results) -> None:
    for name in ("north", "south"):
        single, hospital = _only(results, name)
        rows = _Reader(render_page(single, {})).table("start", "strategy")
        expected = [
            (
                arm.arm.start,
                arm.arm.strategy,
                numbers.three_digits(arm.validation_score),
                numbers.estimate(arm.mean_auroc),
            )
            for arm in hospital.arms
        ]
        assert [(row[0], row[1], row[3], row[4]) for row in rows] == expected


def test_every_forest_plot_prints_the_auroc_and_auprc_of_every_arm(results: Results) -> None:
    single, hospital = _only(results, "north")
    page = render_page(single, {})
    for arm in hospital.arms:
        for task in arm.tasks:
            for value in (task.auroc, task.auprc):
                assert f">{numbers.estimate(value)}</text>" in page


def test_a_changed_auroc_changes_the_page(results: Results) -> None:
    north = results.hospitals[0]
    arm = dataclasses.replace(north.arms[3], mean_auroc=Estimate(0.4321))
    page = render_page(_with_hospital(results, arms=(*north.arms[:3], arm, *north.arms[4:])), {})
    assert "0.432" not in render_page(results, {})
    assert "0.432" in page


def test_insufficient_data_show_no_interval_and_say_why(results: Results) -> None:
    single, hospital = _only(results, "south")
    assert all(task.sufficiency == Sufficiency.INSUFFICIENT_DATA for task in hospital.tasks), (
        "the example must be without intervals"
    )
    page = render_page(single, {})
    rows = _Reader(page).table("start", "strategy")
    assert all(re.fullmatch(r"0\.\d{3}", row[4]) for row in rows)
    assert all(row[5] == numbers.MISSING for row in rows)
    assert 'class="whisker' not in page
    assert page.count(hospital.tasks[0].reason) >= 1
    assert "Insufficient data" in page


def test_a_reason_is_not_repeated_among_the_notices(results: Results) -> None:
    single, hospital = _only(results, "south")
    task = hospital.tasks[0]
    warned = dataclasses.replace(hospital, warnings=(f"{task.task}: {task.reason}",))
    page = render_page(dataclasses.replace(single, hospitals=(warned,)), {})
    assert page.count(f"<li>{task.task}: {task.reason}</li>") == 1


def test_suppressed_cells_show_no_count_and_no_auroc(results: Results) -> None:
    single, hospital = _only(results, "north")
    hidden = [
        dataclasses.replace(
            cell, patients=None, positive_patients=None, suppressed=True, auroc=Estimate(0.987)
        )
        for cell in hospital.subgroups
    ]
    single = dataclasses.replace(single, hospitals=(dataclasses.replace(hospital, subgroups=tuple(hidden)),))
    page = render_page(single, {})
    rows = _Reader(page).table("task", "column", "level")
    assert len(rows) == len(hospital.subgroups) > 0
    assert all(row[3:] == ["suppressed"] * 3 for row in rows)
    assert "0.987" not in page


def test_cells_that_are_not_suppressed_show_their_counts(results: Results) -> None:
    single, hospital = _only(results, "north")
    shown = {(cell.task, cell.column, cell.level): cell for cell in hospital.subgroups if not cell.suppressed}
    rows = {
        tuple(row[:3]): row[3:] for row in _Reader(render_page(single, {})).table("task", "column", "level")
    }
    assert shown
    for key, cell in shown.items():
        assert rows[key] == [str(cell.patients), str(cell.positive_patients), numbers.estimate(cell.auroc)]


def test_the_cross_hospital_matrix_has_each_model_at_home_and_elsewhere(results: Results) -> None:
    cell = next(cell for hospital in results.hospitals for cell in hospital.cross_hospital)
    rows = _Reader(render_page(results, {})).table("trained at", "arm")
    (row,) = [row for row in rows if row[0] == cell.trained_on and row[1] == cell.arm.label][:1]
    assert f"{numbers.estimate(cell.own_auroc)} (home)" in row
    assert numbers.estimate(cell.auroc) in row


def test_sections_without_content_are_left_out(results: Results) -> None:
    bare = tuple(
        dataclasses.replace(
            each,
            cross_hospital=(),
            subgroups=(),
            curves=(),
            calibrations=(),
            metadata_baselines=(),
            warnings=(),
        )
        for each in results.hospitals
    )
    page = render_page(dataclasses.replace(results, hospitals=bare, pretraining=(), archive_flows=()), {})
    for heading in ("Across hospitals", "Subgroups", "Curves of", "Calibration", "Operating points"):
        assert heading not in page
    assert "No pretraining in this job" in page


def test_a_job_without_hospitals_still_has_a_page(results: Results) -> None:
    assert "No hospital in this job" in render_page(dataclasses.replace(results, hospitals=()), {})


def test_the_page_says_research_use_and_generated_films_only_where_they_are(results: Results) -> None:
    generated, real = (
        render_page(dataclasses.replace(results, generated_data=each), {}) for each in (True, False)
    )
    assert "Research use only" in generated
    assert "Research use only" in real
    assert "Nothing on this page is accuracy" in generated
    assert "Nothing on this page is accuracy" not in real


def test_the_page_prints_how_often_test_data_were_opened(results: Results) -> None:
    single, hospital = _only(results, "north")
    assert f"Test data were opened {hospital.ledger.count} times" in render_page(single, {})


@pytest.mark.parametrize("verdict", ArmVerdict)
def test_every_verdict_has_words(results: Results, verdict: ArmVerdict) -> None:
    advice = results.hospitals[0].recommendation
    changed = dataclasses.replace(
        advice, comparisons=tuple(dataclasses.replace(each, verdict=verdict) for each in advice.comparisons)
    )
    assert verdict.value not in "".join(
        row[6]
        for row in _Reader(render_page(_with_hospital(results, recommendation=changed), {})).table("start")
    )
