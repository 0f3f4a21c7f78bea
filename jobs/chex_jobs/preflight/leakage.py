"""Leakage, as far as tables and listings tell: no model may meet a validation or test patient, or a film, that it has seen.

Patients are compared inside a patient domain only: ids are local to where they were given, and a 165 of one source and a
165 of another are different people. Films are compared everywhere, by the content that their storage states. What only shows
once films are decoded is found by `chex_jobs.stages.leakage`, before anything is trained or opened.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from chex_api.faults import Fault
from chex_api.hospital import Hospital
from chex_api.job import JobSpec
from chex_api.pretraining import StartFrom


@dataclass(frozen=True)
class Part:
    """Patients and films of one part of a data set. Private: never told, only counted."""

    patients: frozenset[str] = frozenset()
    films: frozenset[str] = frozenset()
    """ETags; empty for generated films."""

    def __or__(self, other: "Part") -> "Part":
        return Part(self.patients | other.patients, self.films | other.films)


@dataclass(frozen=True)
class Inventory:
    """Who and what a data set holds, by part; with folds, everyone is in each of them."""

    domain: str
    train: Part
    validate: Part
    test: Part
    whole: Part
    """Everything, films of no part too."""

    @property
    def held_out(self) -> Part:
        """What validates or tests."""
        return self.validate | self.test

    @property
    def learned(self) -> Part:
        """What a model of this data set is trained or chosen on."""
        return self.train | self.validate


def leakage_faults(spec: JobSpec, inventories: dict[str, Inventory]) -> Iterator[Fault]:
    """Every way in which a model would meet what it has seen. Messages hold counts only."""
    yield from _pretraining_faults(spec, inventories)
    yield from _also_on_faults(spec, inventories)
    yield from _trained_on_faults(spec, inventories)


def _pretraining_faults(spec: JobSpec, inventories: dict[str, Inventory]) -> Iterator[Fault]:
    """Each pretraining run against what each hospital validates and tests on."""
    for index, run in enumerate(spec.pretraining):
        for hospital in _one_of_each_dataset(spec):
            yield from _faults(
                f"spec.pretraining[{index}].dataset",
                "its training",
                (inventories[run.dataset], inventories[run.dataset].train),
                (inventories[hospital.dataset], inventories[hospital.dataset].held_out),
                f"validate or test hospital {hospital.name!r} (data set {hospital.dataset!r})",
            )


def _also_on_faults(spec: JobSpec, inventories: dict[str, Inventory]) -> Iterator[Fault]:
    """Each hospital's own training and validation against the test sets that its models are shown elsewhere."""
    for index, hospital in enumerate(spec.hospitals):
        own = inventories[hospital.dataset]
        for position, name in enumerate(hospital.evaluation.also_on):
            other = inventories[spec.hospital(name).dataset]
            yield from _faults(
                f"spec.hospitals[{index}].evaluation.alsoOn[{position}]",
                "its hospital's own training or validation",
                (own, own.learned),
                (other, other.test),
                f"test hospital {name!r}",
            )


def _trained_on_faults(spec: JobSpec, inventories: dict[str, Inventory]) -> Iterator[Fault]:
    """Data sets that weights from elsewhere have seen against what the hospitals that start from them are judged on."""
    for index, hospital in enumerate(spec.hospitals):
        for position, start in enumerate(hospital.start_from):
            path = f"spec.hospitals[{index}].startFrom[{position}]"
            for name in _trained_on(spec, start):
                seen = inventories[name]
                judged = _judged_on(spec, hospital, inventories)
                for where, there, part in judged:
                    yield from _faults(
                        path,
                        f"what its weights were trained on ({name!r}): its",
                        (seen, seen.whole),
                        (there, part),
                        where,
                    )


def _trained_on(spec: JobSpec, start: StartFrom) -> tuple[str, ...]:
    """The data sets that the first weights behind a start are said to have seen."""
    while start.stage is not None:
        start = spec.pretraining_run(start.stage).start_from
    return start.weights.trained_on if start.weights is not None else ()


def _judged_on(
    spec: JobSpec, hospital: Hospital, inventories: dict[str, Inventory]
) -> list[tuple[str, Inventory, Part]]:
    own = inventories[hospital.dataset]
    others = [(name, inventories[spec.hospital(name).dataset]) for name in hospital.evaluation.also_on]
    return [(f"validate or test hospital {hospital.name!r}", own, own.held_out)] + [
        (f"test hospital {name!r}", there, there.test) for name, there in others
    ]


def _faults(
    path: str, whose: str, seen: tuple[Inventory, Part], held_out: tuple[Inventory, Part], role: str
) -> Iterator[Fault]:
    (seen_in, known), (held_in, judged) = seen, held_out
    patients = len(known.patients & judged.patients) if seen_in.domain == held_in.domain else 0
    if patients:
        yield Fault(
            path,
            f"{patients} of {whose} patients {role}; split both by the same shares, or leave these patients out with `where`",
        )
    films = len(known.films & judged.films)
    if films:
        yield Fault(
            path, f"{films} of {whose} films are also films that {role}; leave them out of one of the two"
        )


def _one_of_each_dataset(spec: JobSpec) -> list[Hospital]:
    return list({hospital.dataset: hospital for hospital in spec.hospitals}.values())
