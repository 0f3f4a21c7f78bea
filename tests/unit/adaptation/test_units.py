"""Units of work with real training on a small hospital, in this process."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from chex_api.hospital import Dapt
from chex_api.objective import DaptObjective, MoCo
from chex_jobs.adaptation import dapt, features, fine_tune
from chex_jobs.adaptation.context import AdaptationContext, NoLabels
from chex_jobs.adaptation.execute import execute
from chex_jobs.adaptation.features import forward
from chex_jobs.adaptation.head import load_classifier
from chex_jobs.adaptation.lp_ft import transplant_head
from chex_jobs.adaptation.model_files import validation_logits
from chex_jobs.adaptation.probe import best_head
from chex_jobs.data.dataset.chest_xray_dataset import ChestXrayDataset
from chex_jobs.models import build_image_encoder
from chex_jobs.sweep.arms import FAILED
from chex_jobs.sweep.units import (
    DaptUnit,
    FeaturesUnit,
    FinalFitUnit,
    FinalProbeUnit,
    Recipe,
    TrialUnit,
)
from chex_jobs.training.errors import NonFiniteLoss
from chex_jobs.training.loop import LoopCallbacks
from tests.unit.adaptation.small_hospital import ALL, SETTINGS, Hospital, ingested_stage

DAPT = Dapt(objective=DaptObjective(moCo=MoCo(queue_size=16)), epochs=1, global_batch_size=8)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    torch.set_num_threads(1)
    return Hospital(*ingested_stage(tmp_path_factory.mktemp("hospital")))


@pytest.fixture
def every_rung_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fine_tune, "RUNG_WORTH_STORING", 1)


def checkpoints_of(hospital: Hospital, unit: TrialUnit) -> list[str]:
    artifact = hospital.context.object(unit)
    return [key for key in artifact.storage.sizes(artifact.folder) if "/checkpoints/" in key]


def test_lp_ft_begins_with_what_the_best_probe_says(hospital: Hospital) -> None:
    fit = fine_tune._Fit(hospital.trial(1), hospital.context, seed=1)
    films = hospital.context.validation_set(None, ALL).films
    head, features = best_head(hospital.probe, hospital.context), hospital.context.features(hospital.features)
    expected = features.of(films) @ head.weight.T + head.bias
    assert fit.logits(films) == pytest.approx(expected, abs=1e-4)


def test_fine_tuning_begins_with_a_head_of_its_own(hospital: Hospital) -> None:
    unit, layer = hospital.trial(1, head=False), torch.nn.Linear(3, 1)
    before = layer.weight.clone()
    transplant_head(unit, hospital.context, layer)
    assert torch.equal(layer.weight, before)


def test_rung_that_goes_on_from_a_checkpoint_equals_one_trained_in_one_go(
    hospital: Hospital, tmp_path: Path, every_rung_is_stored: None
) -> None:
    low = hospital.trial(1)
    high = hospital.trial(3, low)
    assert hospital.run(low)["checkpointed"]
    assert checkpoints_of(hospital, low)
    resumed = hospital.run(high)
    assert not checkpoints_of(hospital, low), "the rung above has no more use for it"
    alone = hospital.run(hospital.trial(3), tmp_path)
    assert resumed["epochs"] == alone["epochs"]
    assert resumed["score"] == alone["score"]
    assert resumed["filmPasses"] == alone["filmPasses"] * 2 // 3


def test_rung_whose_checkpoint_is_gone_starts_again_and_says_the_same(hospital: Hospital) -> None:
    low = hospital.trial(1, rate=2e-3)
    assert not hospital.run(low)["checkpointed"]
    high = hospital.run(hospital.trial(2, low, rate=2e-3))
    assert high["epochs"][0] == hospital.run(low)["epochs"][0]
    assert len(high["epochs"]) == 2


def test_few_films_are_passed_over_until_a_training_has_its_least_number_of_steps(hospital: Hospital) -> None:
    few = hospital.run(hospital.trial(4))
    settings = SETTINGS.model_copy(update={"min_steps": 50})
    unit = replace(hospital.trial(4), recipe=Recipe(settings, (("learningRate", 1e-3),)))
    many = hospital.run(unit)
    films = len(hospital.context.validation_set(None, ALL).films)
    steps = (few["filmPasses"] - 4 * films) // (3 * SETTINGS.batch_size)
    assert steps < 50
    assert 50 <= (many["filmPasses"] - 4 * films) // (3 * SETTINGS.batch_size) < 50 + steps
    assert len(many["epochs"]) == 4


@pytest.mark.parametrize("searched", [True, False], ids=["searched", "of the strategy"])
def test_the_head_learns_by_its_own_factor(hospital: Hospital, searched: bool) -> None:
    settings = SETTINGS if searched else SETTINGS.model_copy(update={"head_learning_rate_factor": 10.0})
    configuration = (("headLearningRateFactor", 10.0),) if searched else ()
    moved = {}
    for name, recipe in {"one": Recipe(SETTINGS, ()), "ten": Recipe(settings, configuration)}.items():
        fit = fine_tune._Fit(replace(hospital.trial(1, head=False), recipe=recipe), hospital.context, seed=1)
        before = {key: value.clone() for key, value in fit.classifier.named_parameters()}
        fit.train(1, None, LoopCallbacks())
        after = dict(fit.classifier.named_parameters())
        moved[name] = {key: (after[key] - before[key]).abs().mean().item() for key in before}
    assert moved["ten"]["head.weight"] > 5 * moved["one"]["head.weight"]
    encoder = next(key for key in moved["one"] if "head" not in key)
    assert moved["ten"][encoder] < 2 * moved["one"][encoder]


def test_best_epoch_is_the_best_of_all_rungs(hospital: Hospital) -> None:
    summary = hospital.run(hospital.trial(3))
    values = [(-epoch["value"], epoch["loss"]) for epoch in summary["epochs"]]
    assert summary["bestEpoch"] == 1 + values.index(min(values))
    assert summary["score"] == summary["epochs"][summary["bestEpoch"] - 1]


def test_trial_whose_loss_is_infinite_is_a_poor_trial_and_no_failure(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*_: object) -> None:
        raise NonFiniteLoss(1, 0, 1.0, float("nan"))

    monkeypatch.setattr(fine_tune, "run_loop", diverge)
    summary = hospital.run(hospital.trial(1, rate=9.0))
    assert summary["diverged"]
    assert summary["score"] == {"value": None, "loss": None}


@pytest.mark.parametrize("kind", ["dapt", "final"])
def test_a_training_that_diverges_leaves_its_reason_and_is_not_tried_again(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    recipe = Recipe(SETTINGS, (("learningRate", 8.0),))
    units = {
        "dapt": DaptUnit(hospital.site, hospital.start, DAPT, 8.0, None, None),
        "final": FinalFitUnit(hospital.site, hospital.start, None, ALL, recipe, None, 1, 0),
    }

    def diverge(*_: object, **__: object) -> None:
        raise NonFiniteLoss(3, 0, 8.0, float("nan"))

    monkeypatch.setattr(fine_tune, "run_loop", diverge)
    monkeypatch.setattr(dapt, "train", diverge)
    summary = execute(units[kind], hospital.context)
    assert "the loss is nan in step 3" in summary[FAILED]
    assert "lower learningRate" in summary[FAILED]
    monkeypatch.undo()
    assert execute(units[kind], hospital.context) == summary


def test_features_that_are_not_finite_are_no_features(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = FeaturesUnit(replace(hospital.site, seed=77), hospital.start, None)
    monkeypatch.setattr(features, "forward", lambda *_: np.full((3, 2), np.nan, dtype=np.float32))
    assert "NaN or infinite" in execute(unit, hospital.context)[FAILED]


def final_fit(hospital: Hospital) -> FinalFitUnit:
    recipe = Recipe(SETTINGS, (("learningRate", 1e-3),))
    return FinalFitUnit(hospital.site, hospital.start, None, ALL, recipe, hospital.probe, 2, 0)


def final_probe(hospital: Hospital) -> FinalProbeUnit:
    return FinalProbeUnit(hospital.site, hospital.start, hospital.probe, hospital.probe.c_values[2])


@pytest.mark.parametrize("final", [final_fit, final_probe])
def test_stored_model_says_of_the_validation_films_what_was_stored(
    hospital: Hospital, final: Callable[[Hospital], FinalFitUnit | FinalProbeUnit]
) -> None:
    unit = final(hospital)
    summary = execute(unit, hospital.context)
    done = hospital.context.finished(unit)
    films, stored = validation_logits(done)
    model = load_classifier(done, build_image_encoder(hospital.site.encoder, 99), num_tasks=1)
    size = hospital.site.encoder.size
    again = forward(model, hospital.context.data(None), films, size, torch.device("cpu"))
    assert again == pytest.approx(stored, abs=1e-4)
    assert summary["score"]["value"] == hospital.context.validation_set(None, ALL).score(stored)["value"]
    assert summary["labels"]["validate"] == len(films)


def test_final_probe_scores_as_its_trial_did(hospital: Hospital) -> None:
    summary = execute(final_probe(hospital), hospital.context)
    assert summary["score"]["loss"] == pytest.approx(hospital.probed["scores"][2]["loss"], abs=1e-5)


def test_seeds_of_final_fits_differ_and_the_same_seed_repeats(hospital: Hospital, tmp_path: Path) -> None:
    first, other = final_fit(hospital), final_fit(hospital)
    object.__setattr__(other, "seed", 1)
    scores = [execute(unit, hospital.context)["score"]["loss"] for unit in (first, other)]
    assert scores[0] != scores[1]
    elsewhere = Hospital(*ingested_stage(tmp_path))
    assert execute(final_fit(elsewhere), elsewhere.context)["score"]["loss"] == scores[0]


def test_dapt_changes_the_encoder_and_keeps_it(hospital: Hospital) -> None:
    assert hospital.stage.work.adapt is not None
    spec = hospital.stage.work.adapt.hospital.strategies[2].dapt
    assert spec is not None
    unit = DaptUnit(hospital.site, hospital.start, spec, 1e-2, None, None)
    summary = execute(unit, hospital.context)
    adapted = execute(FeaturesUnit(hospital.site, unit, None), hospital.context)
    films = hospital.context.data(None).train
    moved = hospital.context.features(FeaturesUnit(hospital.site, unit, None)).of(films)
    assert not np.allclose(moved, hospital.context.features(hospital.features).of(films))
    assert summary["filmPasses"] == 4 * summary["films"]
    assert adapted["films"] == len(films) + len(hospital.context.data(None).validate)


def test_no_unit_reads_a_test_film(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[int] = set()
    film = ChestXrayDataset.film

    def spying(self: ChestXrayDataset, ordinal: int) -> np.ndarray:
        seen.add(int(ordinal))
        return film(self, ordinal)

    monkeypatch.setattr(ChestXrayDataset, "film", spying)
    assert hospital.stage.work.adapt is not None
    spec = hospital.stage.work.adapt.hospital.strategies[2].dapt
    assert spec is not None
    dapt = DaptUnit(hospital.site, hospital.start, spec, 3e-3, None, None)
    features = FeaturesUnit(hospital.site, dapt, None)
    recipe = Recipe(SETTINGS, (("learningRate", 5e-4),))
    fit = FinalFitUnit(hospital.site, dapt, None, ALL, recipe, None, 1, 0)
    for unit in (dapt, features, TrialUnit(hospital.site, dapt, None, ALL, recipe, None, 1, None), fit):
        execute(unit, hospital.context)
    dataset = ChestXrayDataset.open(hospital.context.ingested())
    assert seen == set(np.flatnonzero(np.isin(dataset.split, ("train", "validate"))).tolist())
    assert (dataset.split == "test").any()


def test_hospital_without_labels_is_told_which_tasks_have_none(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        ChestXrayDataset, "labels", lambda self, task: np.full(len(self), np.nan, dtype=np.float32)
    )
    context = AdaptationContext(hospital.stage, hospital.store, "tests")
    with pytest.raises(NoLabels, match="none of the films that train has a label of effusion"):
        context.labelled(None, "train", ALL)
