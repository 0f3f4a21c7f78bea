"""The page: one file that needs nothing else, says what the results say, and hides what must be hidden."""

import dataclasses
import re
from html.parser import HTMLParser

import pytest

from chex_jobs.evaluation.results.schema import (
    ArmVerdict,
    CurvePoint,
    Estimate,
    HospitalResults,
    RecommendationVerdict,
    Results,
    Sufficiency,
)
from chex_jobs.report import numbers
from chex_jobs.report.model_card import render_model_card
from chex_jobs.report.page import render_page
from chex_jobs.report.rows import HEADLINES

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
            for name, value in (("AUROC", task.auroc), ("AUPRC", task.auprc)):
                assert f'<td class="n" data-label="{name}">{numbers.estimate(value)}</td>' in page


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


def test_no_reason_and_no_finding_stands_twice_in_a_hospitals_section(results: Results) -> None:
    single, hospital = _only(results, "south")
    task = hospital.tasks[0]
    warned = dataclasses.replace(hospital, warnings=(f"{task.task}: {task.reason}",))
    page = render_page(dataclasses.replace(single, hospitals=(warned,)), {})
    assert page.count(task.reason) == len(hospital.tasks)  # once for each task, among the notices
    assert page.count(hospital.recommendation.sentence) == 1


def test_both_answers_stand_at_the_head_of_a_hospital_with_what_the_cheaper_one_saves(
    results: Results,
) -> None:
    single, hospital = _only(results, "north")
    advice = hospital.recommendation
    assert advice.deploy
    assert advice.enough
    page = render_page(single, {"north": "models/north"})
    answers = page.split('<dl class="answers">')[1].split("</dl>")[0]
    costs = {each.arm: each.cost for each in hospital.arms}
    assert f"<dt>Deploy</dt><dd><b>{advice.deploy.label}</b>" in answers
    assert f"<dt>Enough next time</dt><dd><b>{advice.enough.label}</b>" in answers
    assert (
        f"{costs[advice.enough].labelled_patients} labelled patients instead of {costs[advice.deploy].labelled_patients}"
        in answers
    )
    assert "<code>models/north</code>" in answers


def test_every_task_stands_in_the_first_table_with_the_numbers_of_the_model_card(results: Results) -> None:
    single, hospital = _only(results, "north")
    first = render_page(single, {}).split('<table class="summary">')[1].split("</table>")[0]
    card = render_model_card(results, hospital)
    for each in hospital.recommendation.deployed_performance:
        assert f'{each.task} <span class="value">{numbers.estimate(each.auroc)}</span>' in first
        assert f"| {numbers.estimate(each.auroc)} |" in card


def test_a_hospital_without_a_model_says_why_and_has_no_table_of_arms(results: Results) -> None:
    north = results.hospitals[0]
    advice = dataclasses.replace(
        north.recommendation,
        deploy=None,
        enough=None,
        verdict=RecommendationVerdict.VALIDATION_COULD_NOT_CHOOSE,
        proven=False,
        sentence="No model: validation could not choose. icu: no validation film is positive.",
        comparisons=(),
        deployed=(),
        deployed_performance=(),
    )
    bare = dataclasses.replace(
        north, recommendation=advice, arms=(), tasks=(), metadata_baselines=(), calibrations=(), curves=(),
        subgroups=(), cross_hospital=(), warnings=(), unlearnable={"icu": "icu: no validation film is positive."},
    )  # fmt: skip
    page = render_page(dataclasses.replace(results, hospitals=(bare,)), {})
    assert "Validation could not choose" in page
    assert page.count(advice.sentence) == 1
    assert "no model" in page
    assert "Every arm" not in page
    assert "best on validation" not in page
    assert "Patient flow" in page


def test_a_task_that_was_left_out_is_told_before_any_number(results: Results) -> None:
    page = render_page(_with_hospital(results, unlearnable={"ph": "ph: no training film is positive."}), {})
    assert "<li>Not trained: ph: no training film is positive.</li>" in page


def test_what_cross_fitting_promised_stands_beside_what_test_reached(results: Results) -> None:
    single, hospital = _only(results, "north")
    rows = _Reader(render_page(single, {})).table("arm", "task", "wanted specificity")
    point = hospital.calibrations[0].operating_points[0]
    assert rows[0][4:] == [
        numbers.three_digits(point.validation_specificity),
        numbers.estimate(point.specificity),
        numbers.three_digits(point.validation_sensitivity),
        numbers.estimate(point.sensitivity),
    ]


def test_a_contrastive_loss_stands_beside_chance_and_top_1(results: Results) -> None:
    run = dataclasses.replace(
        results.pretraining[0],
        chance_loss=2.833,
        chance_top1=0.059,
        top1=(CurvePoint(1, 0.1), CurvePoint(2, 0.25)),
    )
    page = render_page(dataclasses.replace(results, pretraining=(run,)), {})
    row = _Reader(page).table("run", "data set")[0]
    assert row[-2:] == [f"{numbers.three_digits(run.loss[-1].value)} (2.833)", "0.250 (0.059)"]
    assert "a loss that rises at first is no alarm" in page
    assert "Top-1 of ssl" in page


def test_the_clock_is_told_only_where_it_ran_through(results: Results) -> None:
    north = results.hospitals[0]
    for wall, words in ((248.0, "4 min on the clock"), (None, "was not measured")):
        page = render_page(
            _with_hospital(results, compute=dataclasses.replace(north.compute, wall_seconds=wall)), {}
        )
        assert words in page


def test_tables_with_many_columns_hint_at_them_on_a_phone(results: Results) -> None:
    page = render_page(results, {})
    for block in page.split('<div class="scroll')[1:]:
        heading = block.split("</thead>")[0]
        columns = heading.count("<th ")
        assert columns <= 6 or block.startswith(" wide"), heading


@pytest.mark.parametrize("verdict", RecommendationVerdict)
def test_every_verdict_of_a_hospital_has_words(results: Results, verdict: RecommendationVerdict) -> None:
    assert verdict.value not in HEADLINES[verdict].text
    assert HEADLINES[verdict].text in render_page(
        _with_hospital(
            results, recommendation=dataclasses.replace(results.hospitals[0].recommendation, verdict=verdict)
        ),
        {},
    )


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
