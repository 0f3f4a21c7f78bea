"""Arms: start x strategy x label fraction, and the program that each of them runs.

A program is a coroutine: it yields the units it needs next and is resumed with their results, in the order in which it
named them. It sees nothing else, so what an arm chooses does not depend on how many units ran at once, in which order
they ended, or how often the sweep was killed.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from chex_api.hospital import Dapt, Strategy, Transfer
from chex_api.rules import bounds_of
from chex_api.sweep import Sweep
from chex_jobs.sweep.draws import LabelSet, draws_of
from chex_jobs.sweep.halving import Score, ranked, rungs, survivors
from chex_jobs.sweep.search import build_search
from chex_jobs.sweep.space import Configuration, Edge, Space, edge_of_numbers
from chex_jobs.sweep.units import (
    DaptUnit,
    Encoder,
    FeaturesUnit,
    FinalFitUnit,
    FinalProbeUnit,
    ProbeUnit,
    Recipe,
    Site,
    Start,
    TextTower,
    TrialUnit,
    WorkUnit,
)

Summary = dict[str, Any]
"""What a finished unit says of itself; see `chex_jobs.adaptation`."""
Program = Generator[Sequence[WorkUnit], Sequence[Summary], "ArmChoice | ArmFailed"]
_Choosing = Generator[Sequence[WorkUnit], Sequence[Summary], "ArmChoice"]
FAILED = "failed"
"""In the summary of a unit that can give no result, now or ever: the reason."""
BATCH, UNITS = "batchSize", "unitsPerPass"
"""In the summary of a training: films in a step, and films, studies or patients that there are to fill it."""

_U = TypeVar("_U", bound=WorkUnit)
DAPT_RATE = "daptLearningRate"
"""In a configuration: the learning rate of the DAPT that the arm took."""
C_LOW, C_HIGH = 1e-6, 1e2
"""Range of a probe's inverse penalties, about that of Kumar et al. (arXiv 2202.10054)."""
HEAD_C_VALUES = 17
"""Values of C for the probes that rank DAPT configurations and that give LP-FT its head: half a decade apart, and
the same whatever `trialsPerArm` is, so that raising it changes no trial that has run."""


@dataclass(frozen=True)
class Arm:
    """One combination to compare, in one fold."""

    start_name: str
    start: Start
    text: TextTower | None
    """For DAPT on image + report pairs."""
    strategy: Strategy
    fraction: float
    fold: int | None
    """None unless the data set has grouped folds."""


@dataclass(frozen=True)
class ArmChoice:
    """What an arm's search chose."""

    configuration: dict[str, float]
    """The winning parameters: those of the space, or `C` of a probe; `daptLearningRate` where DAPT was searched."""
    epochs: int
    """Epochs of the winner up to its best; 0 for a probe."""
    score: Score
    """Of the winning trial on draw 0."""
    scores: tuple[Score, ...]
    """Of all trials, in their order."""
    finals: tuple[tuple[int, int, WorkUnit], ...]
    """(draw, seed index, final unit). The seeds of a probe share their unit."""
    at_edge: tuple[Edge, ...] = ()
    """Chosen values beyond which nothing was tried, though a wider range might hold a better one."""
    left_out: int = 0
    """Learning rates of DAPT that could not be trained."""


@dataclass(frozen=True)
class ArmFailed:
    """An arm without a model, and why. The other arms of its hospital are none the worse for it."""

    reason: str


class _CannotGoOn(Exception):
    """An arm lacks the result of a unit. The message is the reason."""


def c_path(count: int) -> tuple[float, ...]:
    """`count` values of C, rising, evenly spaced on a logarithmic scale; a single one is the middle."""
    if count == 1:
        return ((C_LOW * C_HIGH) ** 0.5,)
    step = (C_HIGH / C_LOW) ** (1 / (count - 1))
    return tuple(C_LOW * step**i for i in range(count))


def dapt_learning_rates(middle: float, count: int) -> tuple[float, ...]:
    """The middle, then half a decade below and above it, a whole one, ...: a longer list begins with the shorter."""
    return tuple(middle * 10.0 ** (((i + 1) // 2) * (-0.5 if i % 2 else 0.5)) for i in range(count))


def program(arm: Arm, site: Site, sweep: Sweep) -> Program:
    """The units of one arm, from its DAPT to its final fits. An arm that a unit's failure ends says why."""
    try:
        found = yield from _encoder(arm, site)
        features = FeaturesUnit(site, found.encoder, arm.fold)
        choice = yield from TRANSFERS[arm.strategy.transfer](arm, site, sweep, features)
    except _CannotGoOn as why:
        return ArmFailed(str(why))
    if found.rate is None:
        return choice
    return replace(
        choice,
        configuration={**choice.configuration, DAPT_RATE: found.rate},
        at_edge=(*choice.at_edge, *found.at_edge),
        left_out=found.left_out,
    )


def _all_well(
    units: Sequence[WorkUnit],
) -> Generator[Sequence[WorkUnit], Sequence[Summary], Sequence[Summary]]:
    """The results of units none of which an arm can do without."""
    found = yield units
    for summary in found:
        if FAILED in summary:
            raise _CannotGoOn(summary[FAILED])
    return found


@dataclass(frozen=True)
class _Found:
    """The encoder of an arm, and how it was found."""

    encoder: Encoder
    rate: float | None = None
    """Learning rate of its DAPT; None without."""
    at_edge: tuple[Edge, ...] = ()
    left_out: int = 0


def _encoder(arm: Arm, site: Site) -> Generator[Sequence[WorkUnit], Sequence[Summary], _Found]:
    """The start, or the DAPT of it whose probe is best on *this arm's* validation labels."""
    spec = arm.strategy.dapt
    if spec is None:
        return _Found(arm.start)
    rates = dapt_learning_rates(spec.learning_rate, spec.configurations)
    candidates = [DaptUnit(site, arm.start, spec, rate, arm.text, arm.fold) for rate in rates]
    if len(candidates) == 1:
        yield from _all_well(candidates)
        return _Found(candidates[0], rates[0])
    trained = yield from _usable(candidates)
    seen = yield from _usable([FeaturesUnit(site, candidate, arm.fold) for candidate in trained])
    probes = yield from _all_well([_head_probe(site, f, LabelSet(arm.fraction, 0)) for f in seen])
    best = seen[ranked([best_of_path(probe)[1] for probe in probes])[0]].encoder
    assert isinstance(best, DaptUnit)
    edges = edge_of_numbers(DAPT_RATE, best.learning_rate, rates, bounds_of(Dapt, "learningRate"))
    return _Found(best, best.learning_rate, edges, len(candidates) - len(seen))


def _usable(units: Sequence[_U]) -> Generator[Sequence[WorkUnit], Sequence[Summary], list[_U]]:
    """Those of the units of DAPT configurations that gave a result; an arm needs one."""
    found = yield units
    well = [unit for unit, summary in zip(units, found, strict=True) if FAILED not in summary]
    if not well:
        raise _CannotGoOn(f"none of its {len(units)} DAPT configurations is usable: {found[0][FAILED]}")
    return well


def _linear_probe(arm: Arm, site: Site, sweep: Sweep, features: FeaturesUnit) -> _Choosing:
    """The trials are the values of C on draw 0; the winner is refitted on every draw."""
    yield from _all_well([features])
    path = ProbeUnit(site, features, LabelSet(arm.fraction, 0), c_path(sweep.trials_per_arm))
    (found,) = yield from _all_well([path])
    index, score = best_of_path(found)
    c = path.c_values[index]
    draws = draws_of(arm.fraction, sweep.draws)
    probes = [path] + [ProbeUnit(site, features, LabelSet(arm.fraction, draw), (c,)) for draw in draws[1:]]
    yield from _all_well(probes)
    finals = [FinalProbeUnit(site, features.encoder, probe, c) for probe in probes]
    yield from _all_well(finals)
    placed = tuple((draw, seed, finals[draw]) for draw in draws for seed in range(sweep.final_seeds))
    return ArmChoice({"C": c}, 0, score, tuple(_scores(found)), placed)


def _fine_tune(arm: Arm, site: Site, sweep: Sweep, features: FeaturesUnit) -> _Choosing:
    """Everything is trained, with a new head."""
    return (yield from _tuned(arm, site, sweep, features.encoder, [None] * len(_label_sets(arm, sweep))))


def _lp_ft(arm: Arm, site: Site, sweep: Sweep, features: FeaturesUnit) -> _Choosing:
    """Everything is trained from the head of each draw's probe, whose C is chosen on that draw's own validation labels."""
    yield from _all_well([features])
    probes = [_head_probe(site, features, labels) for labels in _label_sets(arm, sweep)]
    yield from _all_well(probes)
    return (yield from _tuned(arm, site, sweep, features.encoder, probes))


TRANSFERS: dict[Transfer, Callable[[Arm, Site, Sweep, FeaturesUnit], _Choosing]] = {
    "LinearProbe": _linear_probe,
    "FineTune": _fine_tune,
    "LPFT": _lp_ft,
}
"""What each way of transfer asks for, after the encoder. A test holds the keys equal to the API's."""


def _label_sets(arm: Arm, sweep: Sweep) -> list[LabelSet]:
    """Each draw of the arm's labels."""
    return [LabelSet(arm.fraction, draw) for draw in draws_of(arm.fraction, sweep.draws)]


def _tuned(
    arm: Arm, site: Site, sweep: Sweep, encoder: Encoder, heads: Sequence[ProbeUnit | None]
) -> _Choosing:
    """Synchronous search and halving on draw 0; the winner is refitted on every draw with every seed.

    `heads` holds, by draw, the probe whose best head is transplanted; None: a new head.
    """
    trials = yield from _first_rung(arm, site, sweep, encoder, heads[0])
    scores = yield from _climb(arm, sweep, trials)
    winner = trials[ranked(scores)[0]]
    if winner.best_epoch < 1:
        raise _CannotGoOn(
            "none of its trials had a finite loss after its first epoch; lower the learning rates in sweep.space"
        )
    recipe, epochs = winner.unit.recipe, winner.best_epoch
    placed = [
        (
            draw,
            seed,
            FinalFitUnit(site, encoder, arm.fold, labels, recipe, heads[draw], epochs, seed),
        )
        for draw, labels in enumerate(_label_sets(arm, sweep))
        for seed in range(sweep.final_seeds)
    ]
    yield from _all_well([unit for _, _, unit in placed])
    edges = Space.of(sweep.space).at_edge(recipe.configuration)
    return ArmChoice(
        dict(recipe.configuration), epochs, winner.score, tuple(scores), tuple(placed), at_edge=edges
    )


@dataclass
class _RungTrial:
    """A trial on its way up the rungs."""

    unit: TrialUnit
    score: Score
    best_epoch: int

    def reached(self, unit: TrialUnit, summary: Summary) -> None:
        self.unit, self.score, self.best_epoch = unit, score_of(summary["score"]), int(summary["bestEpoch"])


def _first_rung(
    arm: Arm, site: Site, sweep: Sweep, encoder: Encoder, head: ProbeUnit | None
) -> Generator[Sequence[WorkUnit], Sequence[Summary], list[_RungTrial]]:
    """Every trial up to the first rung, asked for in batches of fixed size whatever runs at once."""
    settings, labels = arm.strategy.fine_tuning, LabelSet(arm.fraction, 0)
    first_end = rungs(settings.epochs, sweep.scheduler)[0]
    search = build_search(sweep.search, Space.of(sweep.space), _search_seed(site.seed))
    rung_trials: list[_RungTrial] = []
    while len(rung_trials) < sweep.trials_per_arm:
        batch: list[Configuration] = search.ask()[: sweep.trials_per_arm - len(rung_trials)]
        units = [
            TrialUnit(site, encoder, arm.fold, labels, Recipe(settings, configuration), head, first_end, None)
            for configuration in batch
        ]
        found = yield from _all_well(units)
        reached = [
            _RungTrial(unit, score_of(summary["score"]), int(summary["bestEpoch"]))
            for unit, summary in zip(units, found, strict=True)
        ]
        search.tell([rung_trial.score.value for rung_trial in reached])
        rung_trials += reached
    return rung_trials


def _climb(
    arm: Arm, sweep: Sweep, rung_trials: list[_RungTrial]
) -> Generator[Sequence[WorkUnit], Sequence[Summary], list[Score]]:
    """Send the better part on, rung by rung, and give the score that each trial has reached."""
    going = list(rung_trials)
    for end in rungs(arm.strategy.fine_tuning.epochs, sweep.scheduler)[1:]:
        going = [going[i] for i in survivors([rung_trial.score for rung_trial in going], sweep.scheduler)]
        units = [_next_rung(rung_trial.unit, end) for rung_trial in going]
        found = yield from _all_well(units)
        for rung_trial, unit, summary in zip(going, units, found, strict=True):
            rung_trial.reached(unit, summary)
    return [rung_trial.score for rung_trial in rung_trials]


def _next_rung(unit: TrialUnit, end: int) -> TrialUnit:
    return TrialUnit(unit.site, unit.encoder, unit.fold, unit.labels, unit.recipe, unit.head, end, unit)


def _head_probe(site: Site, features: FeaturesUnit, labels: LabelSet) -> ProbeUnit:
    return ProbeUnit(site, features, labels, c_path(HEAD_C_VALUES))


def _search_seed(seed: int) -> int:
    """All arms try the same first configurations, so that they differ by what they are and not by luck."""
    return seed % 2**32


def score_of(document: dict[str, float | None]) -> Score:
    """A score from a unit's summary, where an undefined number is null."""
    value, loss = document["value"], document["loss"]
    return Score(float("nan") if value is None else value, float("nan") if loss is None else loss)


def _scores(probe: Summary) -> list[Score]:
    return [score_of(document) for document in probe["scores"]]


def best_of_path(probe: Summary) -> tuple[int, Score]:
    """Position and score of the best C of a probe; among equals the strongest penalty."""
    scores = _scores(probe)
    index = ranked(scores)[0]
    return index, scores[index]
