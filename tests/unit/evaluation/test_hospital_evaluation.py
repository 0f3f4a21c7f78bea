"""From stored models and films to results, with tiny films and models that read the truth out of them."""

import io
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from chex_api.summaries import IngestSummary
from chex_jobs.evaluation.adaptation_output import read_adaptation
from chex_jobs.evaluation.evaluate import Settings
from chex_jobs.evaluation.hospital_evaluation import Evaluated, Evaluation, IngestedSet, run_evaluation
from chex_jobs.evaluation.reporting.prediction_table import prediction_table
from chex_jobs.evaluation.results.schema import HospitalCompute, RecommendationVerdict
from chex_jobs.evaluation.statistics.aggregation import ScoringUnit
from chex_jobs.evaluation.statistics.predictions import PredictionsError
from chex_jobs.evaluation.test_access.evaluation_data import EvaluationData
from chex_jobs.evaluation.test_access.final_models import FilmLogits, FinalModel
from chex_jobs.evaluation.test_access.ledger import TestLedger
from chex_jobs.evaluation.test_access.predictor import Predictor
from tests.unit.evaluation.test_access.test_ledger import MemoryStorage
from tests.unit.evaluation.test_access.test_ledger import films as told_by

TASKS = ("opacity", "icu")
SUMMARY = IngestSummary(
    declared=990,
    films=980,
    patients=330,
    studies=600,
    with_report=0,
    unit="Study",
    num_folds=0,
    parts={},
    left_out={"where": 10},
    quarantined={"Truncated": 10},
    bytes=0,
)


@dataclass
class Hospital:
    """A data set whose films are as bright as their patient is ill; the view gives some of it away."""

    num_patients: int = 330
    num_folds: int = 0
    unit: ScoringUnit = "Study"
    seed: int = 0
    read: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self.patients = np.repeat(np.arange(self.num_patients), 3).astype(np.int32)
        self.studies = (np.arange(len(self)) // 2 + self.patients * 10_000).astype(
            np.int32
        )  # studies of two films and of one
        ill = rng.random((self.num_patients, 2)) < 0.4
        self._labels = ill[self.patients].astype(np.float32)
        self._labels[rng.random(self._labels.shape) < 0.05] = np.nan
        brightness = 100 + 30 * ill[self.patients, 0] + 12 * rng.normal(size=self.num_patients)[self.patients]
        self.brightness = (brightness + 8 * rng.normal(size=len(self))).clip(1, 255).astype(np.uint8)
        self.views = ["AP" if (ill[p, 1] and rng.random() < 0.8) else "PA" for p in self.patients]
        place = np.random.default_rng(1).permutation(self.num_patients) / self.num_patients
        parts = np.where(place < 0.4, "test", np.where(place < 0.6, "validate", "train"))
        self.split = np.where(self.num_folds > 0, "", parts[self.patients])
        self.fold = (self.patients % self.num_folds if self.num_folds else np.full(len(self), -1)).astype(
            np.int32
        )

    def __len__(self) -> int:
        return 3 * self.num_patients

    def film(self, ordinal: int) -> np.ndarray:
        self.read.append(ordinal)
        return np.full((6, 8), self.brightness[ordinal], dtype=np.uint8)

    def labels(self, task: str) -> np.ndarray:
        return self._labels[:, TASKS.index(task)]

    @property
    def metadata(self) -> pa.Table:
        return pa.table({"view": self.views})


class Brightness(torch.nn.Module):
    """Both logits are the mean grey of the film's middle, where the standard view has no border."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert images.dtype == torch.uint8
        assert not self.training
        middle = images[:, 0, 3:5, 3:5].float().mean(dim=(1, 2))
        return (middle[:, None] - 115) / 10 * torch.tensor([1.0, 1.0])


def arms_json(folds: list[int | None], strategies: dict[str, int]) -> dict[str, Any]:
    def entry(name: str, passes: int, fold: int | None) -> dict[str, Any]:
        return {
            "start": "ssl", "strategy": name, "transfer": "LPFT", "daptObjective": "", "labelFraction": 1.0, "fold": fold,
            "configuration": {"learningRate": 1e-4}, "epochs": 3, "trials": [{"value": 0.8, "loss": 0.5}] * 4,
            "filmPasses": passes, "labelledPatients": 120, "deviceSeconds": 2.5, "labels": [{"draw": 0, "train": 200, "validate": 100}],
            "finals": [{"draw": 0, "seed": seed, "identity": f"{name}-{fold}-{seed}".ljust(64, "0"), "score": {"value": 0.8, "loss": 0.5}} for seed in (0, 1)],
        }  # fmt: skip

    arms = [entry(name, passes, fold) for fold in folds for name, passes in strategies.items()]
    return {
        "schema": "chexdragon.dev/arms/v1",
        "tasks": list(TASKS),
        "unlearnable": {},
        "unit": "Study",
        "metric": "AUROC",
        "arms": arms,
    }


def evaluation(home: Hospital, elsewhere: dict[str, Hospital] | None = None) -> Evaluation:
    data = EvaluationData(home, TASKS)
    folds: list[int | None] = list(range(home.num_folds)) if home.num_folds else [None]
    document = arms_json(folds, {"probe": 10, "lp-ft": 500})

    def validation(identity: str) -> FilmLogits:
        fold = identity.split("-")[-2]
        films = next(each.validate for each in data.roles if str(each.fold) == fold or fold == "None")
        return FilmLogits(films, np.repeat((home.brightness[films, None] - 115.0) / 10, 2, axis=1))

    found = read_adaptation(document, validation)
    return Evaluation(
        settings=Settings("north", "north", "Study", "patients", home.num_folds, 0.02, 0.95, found.metric, 0),
        home=IngestedSet("north", SUMMARY, data, told_by("north")),
        elsewhere={
            name: IngestedSet(name, SUMMARY, EvaluationData(there, TASKS[:1]), told_by(name))
            for name, there in (elsewhere or {}).items()
        },
        arms=found.arms,
        models=found.models,
        compute=HospitalCompute(1020.0, 5.0, 8, 0, 4, None),
        identities={},
        stage_identity="a" * 64,
        attempt="uid-1",
    )


def run(asked: Evaluation, storage: MemoryStorage | None = None, stop=lambda: None) -> Evaluated:
    predictor = Predictor(lambda _: Brightness(), 8, "cpu", lambda done, total: None, stop)
    return run_evaluation(
        asked, predictor, storage or MemoryStorage(), lambda: datetime(2026, 11, 23, tzinfo=UTC)
    )


@pytest.fixture(scope="module")
def found() -> tuple[Hospital, Evaluated]:
    home = Hospital()
    return home, run(evaluation(home))


def test_only_labelled_test_films_are_read_and_each_once(found):
    home, _ = found
    assert len(home.read) == len(set(home.read))
    assert set(home.split[home.read]) == {"test"}


def test_units_are_studies_and_their_logits_the_mean_over_films(found):
    home, done = found
    units = done.test.units
    sizes = {}
    for row in range(20):
        films = np.flatnonzero(home.studies == units.ordinals[row])
        expected = ((home.brightness[films] - 115.0) / 10).mean()
        np.testing.assert_allclose(done.test.fits[0].logits[row], expected, rtol=1e-6)
        sizes[len(films)] = row
    assert set(sizes) == {1, 2}


def test_models_that_agree_are_equal_and_the_cheaper_is_recommended(found):
    advice = found[1].results.recommendation
    assert advice.deploy.strategy == "probe"
    assert advice.verdict is RecommendationVerdict.REFERENCE_IS_CHEAPEST
    assert found[1].results.arms[0].mean_auroc.value > 0.6


def test_the_view_is_found_to_predict_what_the_film_does_not_show(found):
    by_task = {each.task: each for each in found[1].results.metadata_baselines}
    assert by_task["icu"].features == ("view",)
    assert by_task["icu"].auroc.value > 0.8
    assert by_task["icu"].gain.interval.upper < 0
    assert any(
        each.startswith("icu: the arm to deploy is not shown to predict better")
        for each in found[1].results.warnings
    )
    assert by_task["opacity"].gain.interval.lower > 0


def test_a_study_belongs_to_the_level_that_its_films_share(found):
    home, done = found
    views = EvaluationData(home, TASKS).test_subgroups()["view"]
    of_films = [
        {str(home.views[film]).lower() for film in np.flatnonzero(home.studies == study)}
        for study in done.test.units.ordinals
    ]
    assert views == [min(each) if len(each) == 1 else "several" for each in of_films]


def test_the_flow_counts_from_listed_films_to_labelled_test_films(found):
    home, done = found
    steps = {each.name: each for each in done.results.flow.steps}
    assert (steps["Listed"].films, steps["Eligible"].films, steps["Decoded"].films) == (1000, 990, 980)
    assert steps["Eligible"].note == "where: 10"
    assert steps["Train"].films + steps["Validate"].films + steps["Test"].films == len(home)
    assert 0 < steps["TestLabelled:icu"].films < steps["Test"].films
    assert done.results.flow.quarantine == {"Truncated": 10}


def test_the_opening_is_recorded_before_any_film_is_read_even_if_nothing_comes_of_it():
    home, storage = Hospital(), MemoryStorage()

    class Stopped(Exception):
        pass

    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        run(evaluation(home), storage, stop)
    done = run(evaluation(home), storage)
    assert done.results.ledger.count == 2
    assert done.results.ledger.distinct_evaluations == 1


def test_with_folds_every_model_predicts_only_the_fold_it_never_saw():
    home = Hospital(num_folds=3)
    done = run(evaluation(home))
    for each in done.test.fits:
        assert set(done.test.units.patients[each.rows] % 3) == {each.fit.fold}
    assert len(set(home.read)) == len(home.read)
    assert {each.name for each in done.results.flow.steps} >= {"Fold 0", "Fold 1", "Fold 2"}
    assert done.results.arms[0].cost.film_passes == 30.0
    assert "learningRate (fold 2)" in done.results.arms[0].hyperparameters


def test_other_hospitals_are_opened_for_the_shown_arms_only_and_every_model_sees_all_their_films():
    away, storage = Hospital(num_folds=3, seed=5), MemoryStorage()
    done = run(evaluation(Hospital(num_folds=3), {"south": away}), storage)
    (cell,) = done.results.cross_hospital
    assert (cell.tested_on, cell.task) == ("south", "opacity")
    assert cell.auroc.value is not None
    assert cell.auroc.value > 0.8
    assert all(
        len(each.rows) == len(done.elsewhere["south"].units.ordinals) for each in done.elsewhere["south"].fits
    )
    assert {each.fit.arm for each in done.elsewhere["south"].fits} == {done.results.recommendation.deploy}
    for hospital, purpose in (("north", "evaluate"), ("south", "alsoOn")):
        (opening,) = TestLedger(storage, told_by(hospital)).openings()
        assert (opening.dataset, opening.purpose) == (hospital, purpose)


def test_every_prediction_is_in_the_table(found):
    _, done = found
    buffer = io.BytesIO()
    pq.write_table(prediction_table(done.validation, done.test, {}), buffer)
    table = pq.read_table(io.BytesIO(buffer.getvalue()))
    assert table.num_rows == sum(
        each.logits.size for found in (done.validation, done.test) for each in found.fits
    )
    rows = table.to_pylist()
    assert {row["set"] for row in rows} == {"validate", "test"}
    test = [
        row
        for row in rows
        if row["set"] == "test" and row["task"] == "icu" and row["seed"] == 1 and row["arm"] == "ssl/lp-ft@1"
    ]
    assert [row["unit"] for row in test] == done.test.units.ordinals.tolist()
    labels = [np.nan if row["label"] is None else row["label"] for row in test]
    np.testing.assert_array_equal(labels, done.test.units.labels[:, 1])


def test_seeds_of_a_probe_share_a_model_that_predicts_once():
    document = arms_json([None], {"probe": 10})
    for final in document["arms"][0]["finals"]:
        final["identity"] = "same".ljust(64, "0")
    found = read_adaptation(document, lambda _: FilmLogits(np.arange(3), np.zeros((3, 2))))
    (model,) = found.models
    assert isinstance(model, FinalModel)
    assert [(fit.draw, fit.seed) for fit in model.fits] == [(0, 0), (0, 1)]
    assert found.arms[0].cost.final_fits == 1
    assert found.arms[0].cost.labelled_patients == 120


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "v0"}, "schema 'v0'"),
        ({"metric": "F1"}, "metric: Input should be 'AUROC' or 'AUPRC'; run adapt again"),
        ({"arms": []}, "no arms"),
    ],
)
def test_an_adaptation_of_another_form_is_refused(change, message):
    with pytest.raises(PredictionsError, match=message):
        read_adaptation(
            {**arms_json([None], {"probe": 1}), **change},
            lambda _: FilmLogits(np.arange(1), np.zeros((1, 2))),
        )


def test_a_hospital_without_metadata_has_no_baseline_and_says_so():
    home = Hospital()
    home.views = [""] * len(home)
    done = run(evaluation(home))
    assert "no metadata column" in done.results.metadata_baselines[0].reason
    assert replace(done.results.metadata_baselines[0].auroc, reason="").value is None
