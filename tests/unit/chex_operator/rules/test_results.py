"""What a finished stage tells, whatever image it ran."""

import math
from typing import Any

import pytest

from chex_api.stage import StageResult
from chex_api.status import StageStatus
from chex_operator.rules.results import hospitals_with, report_uri


def reported(**summary: Any) -> dict[str, StageResult]:
    result = StageResult(manifest_uri="s3://m/manifest.json", manifest_sha256="a", summary=summary)
    return {"evaluate/north": result, "report/network": result}


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e300, -0.1, True, "0.9", None])
def test_what_is_no_auroc_is_not_reported_as_one(value: Any) -> None:
    stages = [StageStatus(name="evaluate/north", state="Finished")]
    (hospital,) = hospitals_with((), reported(recommended="ssl/probe@1", auroc=value, aurocLow=0.5), stages)
    assert (hospital.recommended, hospital.auroc, hospital.auroc_low) == ("ssl/probe@1", None, "0.500")


@pytest.mark.parametrize(("page", "uri"), [("s3://m/report.html", "s3://m/report.html"), ("s" * 3000, "")])
def test_the_page_is_named_where_it_can_be(page: str, uri: str) -> None:
    assert report_uri(reported(page=page)) == uri
