"""Charts: inside their frame, readable without colours, safe."""

from xml.etree import ElementTree as ET

import pytest
from markupsafe import Markup

from chex_jobs.report.charts import Dot, Line, line_chart, scatter
from chex_jobs.report.forest import ForestRow, forest
from chex_jobs.report.marks import Style

HOSTILE = '"><script>'


def _parsed(markup: Markup) -> ET.Element:
    return ET.fromstring(f"<div>{markup}</div>")


def _forest(*rows: ForestRow) -> Markup:
    return forest("title", rows, ("AUROC", "AUPRC"), "AUROC", guide=0.5)


def test_the_first_36_series_differ_in_more_than_colour() -> None:
    styles = [Style.of(index) for index in range(36)]
    assert len(set(styles)) == 36
    assert len({style.shape for style in styles[:6]}) == 6


@pytest.mark.parametrize(
    "chart",
    [
        line_chart(
            HOSTILE, [Line(HOSTILE, (0, 1), (0, 1)), Line("b", (0, 1), (1, 0), Style.of(1))], HOSTILE, HOSTILE
        ),
        scatter(HOSTILE, [Dot(HOSTILE, HOSTILE, 10, 0.5, Style.of(1), chosen=True)], HOSTILE, HOSTILE),
        _forest(ForestRow(HOSTILE, 0.7, 0.6, 0.8, (HOSTILE, HOSTILE))),
    ],
    ids=["lines", "scatter", "forest"],
)
def test_charts_are_well_formed_and_escape_every_label(chart: Markup) -> None:
    assert "script" not in {element.tag for element in _parsed(chart).iter()}
    assert "<script" not in chart


def test_everything_that_a_forest_plot_draws_lies_inside_its_drawing() -> None:
    rows = [
        ForestRow("x", value, 0.01, 0.99, ("0.700 (0.010–0.990)",) * 2, emphasis=True)
        for value in (0.02, 0.7, 0.98)
    ]
    drawings = list(_parsed(_forest(*rows)).iter("svg"))
    assert len(drawings) == 4  # three rows and the axis
    for svg in drawings:
        width, height = (float(number) for number in svg.attrib["viewBox"].split()[2:])
        for element in svg.iter():
            for name in ("x", "x1", "x2", "cx"):
                assert 0 <= float(element.attrib.get(name, 0)) <= width
            for name in ("y", "y1", "y2", "cy"):
                assert 0 <= float(element.attrib.get(name, 0)) <= height


@pytest.mark.parametrize("length", [3, 40, 41, 200])
def test_no_label_is_cut_at_any_length(length: int) -> None:
    label = "s" * length + "/lp-ft@0.1"
    texts = [
        element.text for element in _parsed(_forest(ForestRow(label, 0.7, None, None, ("", "")))).iter("th")
    ]
    assert label in texts
    dots = [Dot(label, label, 10, 0.7, Style.of(0), chosen=True)]
    for chart in (
        scatter("cost", dots, "x", "y"),
        line_chart("t", [Line(label, (0, 1), (0, 1)), Line("b", (0, 1), (0, 1), Style.of(1))], "x", "y"),
    ):
        assert label in "".join(text for item in _parsed(chart).iter("li") for text in item.itertext())
        assert "…" not in chart


def test_an_estimate_without_interval_is_hollow_and_has_no_whisker() -> None:
    without, with_interval = (
        _forest(ForestRow("arm", 0.7, *ends, ("", ""))) for ends in ((None, None), (0.6, 0.8))
    )
    assert "hollow" in without
    assert "whisker" not in without
    assert "hollow" not in with_interval
    assert "whisker" in with_interval


def test_an_undefined_estimate_keeps_its_row_without_a_mark() -> None:
    chart = _forest(
        ForestRow("defined", 0.7, 0.6, 0.8, ("0.700", "")),
        ForestRow("undefined", None, None, None, ("–", "–")),
    )
    assert ">undefined<" in chart
    assert chart.count("<circle") == 1


def test_nothing_is_drawn_where_nothing_is_defined() -> None:
    assert _forest(ForestRow("undefined", None, None, None, ("–", "–"))) == ""


def test_the_chosen_point_is_ringed_and_named_beside_the_series() -> None:
    dots = [
        Dot("cheap/probe@1", "probe", 10, 0.7, Style.of(0)),
        Dot("dear/lp-ft@1", "lp-ft", 1e6, 0.8, Style.of(1), chosen=True),
    ]
    chart = scatter("cost", dots, "x", "y")
    assert chart.count('class="ring"') == 2  # in the chart and in its legend
    items = ["".join(item.itertext()) for item in _parsed(chart).iter("li")]
    assert items == ["probe", "lp-ft", "dear/lp-ft@1"]


def test_a_single_curve_needs_no_legend() -> None:
    one, two = (
        line_chart("t", [Line(str(i), (0, 1), (0, 1), Style.of(i)) for i in range(n)], "x", "y")
        for n in (1, 2)
    )
    assert "legend" not in one
    assert two.count("<li>") == 2
