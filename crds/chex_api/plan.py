"""The plan: from a manifest and the digests of its sources to a graph of stages with identities. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from chex_api.dataset import Dataset
from chex_api.hospital import Hospital
from chex_api.identity import identity_of, relevant
from chex_api.job import ChexTrainingJob, JobSpec
from chex_api.pretraining import PretrainingRun, StartFrom
from chex_api.stage import (
    AdaptSpec,
    EvaluateSpec,
    IngestSpec,
    OtherTestSet,
    PretrainSpec,
    ReportSpec,
    StageKind,
    StageReference,
    StageSpec,
    StageWork,
    Start,
)

IMPLEMENTATION_VERSIONS: dict[StageKind, int] = {
    "ingest": 2,
    "pretrain": 2,
    "adapt": 2,
    "evaluate": 2,
    "report": 2,
}
"""Raised when the code of a stage gives other results for the same input. Golden-number tests fail when that is forgotten."""


class UnresolvedDigest(LookupError):
    """A source's digest is not known; preflight has not seen it."""


@dataclass(frozen=True)
class Location:
    """Something outside the manifest that a job reads: its key in the digests, and where it lies."""

    key: str
    uri: str


@dataclass(frozen=True)
class Plan:
    """The stages of a job in an order in which they can run."""

    stages: tuple[StageSpec, ...]

    def stage(self, kind: StageKind, name: str) -> StageSpec:
        """The stage of that kind and name. Raises `KeyError`."""
        for stage in self.stages:
            if (stage.kind, stage.name) == (kind, name):
                return stage
        raise KeyError(f"{kind}/{name}")


def stage_names(job: ChexTrainingJob) -> list[tuple[StageKind, str]]:
    """Kind and name of every stage that a job has, in the plan's order; needs no digests."""
    spec = job.spec
    return [
        *(("ingest", dataset.name) for dataset in _used_datasets(spec)),
        *(("pretrain", run.name) for run in spec.pretraining),
        *(("adapt", hospital.name) for hospital in spec.hospitals),
        *(("evaluate", hospital.name) for hospital in spec.hospitals),
        ("report", job.metadata.name),
    ]


def locations(spec: JobSpec) -> list[Location]:
    """Every location whose digest the plan needs. Phantoms lie nowhere: their settings say all."""
    found = [
        Location(f"datasets/{dataset.name}", member.uri)
        for dataset in _used_datasets(spec)
        for _, member in [dataset.source.member()]
        if hasattr(member, "uri")
    ]
    if spec.encoders.image.init.uri is not None:
        found.append(Location("encoders/image", spec.encoders.image.init.uri))
    if spec.encoders.text is not None and spec.encoders.text.init.uri is not None:
        found.append(Location("encoders/text", spec.encoders.text.init.uri))
    for owner, start in _starts(spec):
        if start.weights is not None:
            found.append(Location(f"{owner}/weights/{start.weights.uri}", start.weights.uri))
    return found


def field_path(spec: JobSpec, location: Location) -> str:
    """Where the manifest names a location, as the API server writes paths: `spec.datasets[1].source`."""
    owner = location.key.split("/weights/")[0]
    kind, _, name = owner.partition("/")
    if kind == "encoders":
        return f"spec.encoders.{name}.init.uri"
    named = {"datasets": spec.datasets, "pretraining": spec.pretraining, "hospitals": spec.hospitals}[kind]
    index = [item.name for item in named].index(name)
    return f"spec.{kind}[{index}].{'source' if kind == 'datasets' else 'startFrom'}"


def make_plan(job: ChexTrainingJob, digests: Mapping[str, str]) -> Plan:
    """The stages of a valid job. `digests` holds a digest for the key of each of `locations(job.spec)`.

    Raises `UnresolvedDigest` for a key that is not there.
    """
    planner = _Planner(job, digests)
    return Plan(tuple(planner.stages()))


def ingest_identity(seed: int, dataset: Dataset, digest: str) -> str:
    """Identity of the stage that ingests a data set whose source has this digest; a phantom's is empty."""
    return _stage_identity("ingest", _relevant_to_ingest(seed, dataset, digest))


def start_labels(starts: tuple[StartFrom, ...]) -> list[str]:
    """A label for each start, made unique with a number where two have the same."""
    labels: list[str] = []
    for start in starts:
        label = start.label()
        twins = sum(1 for earlier in starts[: len(labels)] if earlier.label() == label)
        labels.append(label if not twins else f"{label}-{twins + 1}")
    return labels


def _stage_identity(kind: StageKind, relevant_input: dict[str, Any]) -> str:
    return identity_of(
        {"kind": kind, "implementationVersion": IMPLEMENTATION_VERSIONS[kind], **relevant_input}
    )


def _relevant_to_ingest(seed: int, dataset: Dataset, digest: str) -> dict[str, Any]:
    return {"seed": seed, "dataset": relevant(dataset), "source": digest}


def _used_datasets(spec: JobSpec) -> list[Dataset]:
    used = {run.dataset for run in spec.pretraining} | {hospital.dataset for hospital in spec.hospitals}
    return [dataset for dataset in spec.datasets if dataset.name in used]


def _starts(spec: JobSpec) -> Iterator[tuple[str, StartFrom]]:
    for run in spec.pretraining:
        yield f"pretraining/{run.name}", run.start_from
    for hospital in spec.hospitals:
        for start in hospital.start_from:
            yield f"hospitals/{hospital.name}", start


class _Planner:
    """Builds stages parent first, so that every identity can name those it follows from."""

    def __init__(self, job: ChexTrainingJob, digests: Mapping[str, str]) -> None:
        self._job = job
        self._spec = job.spec
        self._digests = digests
        self._references: dict[tuple[StageKind, str], StageReference] = {}

    def stages(self) -> Iterator[StageSpec]:
        for dataset in _used_datasets(self._spec):
            yield self._ingest(dataset)
        for run in self._spec.pretraining:
            yield self._pretrain(run)
        for hospital in self._spec.hospitals:
            yield self._adapt(hospital)
        for hospital in self._spec.hospitals:
            yield self._evaluate(hospital)
        yield self._report()

    def _stage(
        self,
        kind: StageKind,
        name: str,
        relevant_input: dict[str, Any],
        parents: list[StageReference],
        work: StageWork,
    ) -> StageSpec:
        identity = _stage_identity(kind, relevant_input)
        self._references[kind, name] = StageReference(kind=kind, name=name, identity=identity)
        return StageSpec(
            kind=kind,
            name=name,
            identity=identity,
            seed=self._spec.seed,
            artifacts_uri=self._spec.artifacts.uri,
            parents=tuple(dict.fromkeys(parents)),
            work=work,
        )

    def _ingest(self, dataset: Dataset) -> StageSpec:
        source, _ = dataset.source.member()
        digest = "" if source == "phantom" else self._digest(f"datasets/{dataset.name}")
        work = StageWork(ingest=IngestSpec(dataset=dataset))
        relevant_input = _relevant_to_ingest(self._spec.seed, dataset, digest)
        return self._stage("ingest", dataset.name, relevant_input, [], work)

    def _pretrain(self, run: PretrainingRun) -> StageSpec:
        dataset = self._references["ingest", run.dataset]
        start = self._start(f"pretraining/{run.name}", run.start_from, run.start_from.label())
        uses_text = run.objective.clip is not None
        tasks = self._tasks(run)
        relevant_input = {
            "seed": self._spec.seed,
            "run": relevant(run),
            "encoders": self._encoders(uses_text=uses_text),
            "tasks": list(tasks),
            "dataset": dataset.identity,
            "start": start.identity,
        }
        parents = [dataset] + ([start.stage] if start.stage is not None and not start.stage.uri else [])
        work = StageWork(
            pretrain=PretrainSpec(
                run=run, encoders=self._spec.encoders, dataset=dataset, tasks=tasks, start=start
            )
        )
        return self._stage("pretrain", run.name, relevant_input, parents, work)

    def _tasks(self, run: PretrainingRun) -> tuple[str, ...]:
        if run.objective.supervised is None:
            return ()
        return run.objective.supervised.tasks or tuple(
            task.name for task in self._spec.dataset(run.dataset).tasks
        )

    def _adapt(self, hospital: Hospital) -> StageSpec:
        dataset = self._references["ingest", hospital.dataset]
        starts = tuple(
            self._start(f"hospitals/{hospital.name}", start, label)
            for start, label in zip(hospital.start_from, start_labels(hospital.start_from), strict=True)
        )
        uses_text = any(
            strategy.dapt is not None and strategy.dapt.objective.clip is not None
            for strategy in hospital.strategies
        )
        relevant_input = {
            "seed": self._spec.seed,
            "hospital": relevant(hospital),
            "encoders": self._encoders(uses_text=uses_text),
            "dataset": dataset.identity,
            "starts": [{"label": start.label, "identity": start.identity} for start in starts],
        }
        seen = self._pretrained_on(hospital)
        parents = [
            dataset,
            *(start.stage for start in starts if start.stage is not None and not start.stage.uri),
            *seen,
        ]
        encoders = self._encoders(uses_text=uses_text)
        adapt = AdaptSpec(
            hospital=hospital,
            encoders=self._spec.encoders,
            dataset=dataset,
            starts=starts,
            text_digest=encoders.get("textDigest", ""),
            pretrained_on=tuple(seen),
        )
        return self._stage("adapt", hospital.name, relevant_input, parents, StageWork(adapt=adapt))

    def _pretrained_on(self, hospital: Hospital) -> list[StageReference]:
        """The data sets of every pretraining run that a start of the hospital goes back to."""
        runs: list[PretrainingRun] = []
        waiting = [start.stage for start in hospital.start_from if start.stage is not None]
        while waiting:
            run = self._spec.pretraining_run(waiting.pop(0))
            runs.append(run)
            waiting += [run.start_from.stage] if run.start_from.stage is not None else []
        return list(dict.fromkeys(self._references["ingest", run.dataset] for run in runs))

    def _evaluate(self, hospital: Hospital) -> StageSpec:
        dataset = self._references["ingest", hospital.dataset]
        adapt = self._references["adapt", hospital.name]
        others = tuple(
            OtherTestSet(hospital=name, dataset=self._references["ingest", self._spec.hospital(name).dataset])
            for name in hospital.evaluation.also_on
        )
        relevant_input = {
            "evaluation": relevant(hospital.evaluation),
            "adapt": adapt.identity,
            "alsoOn": [{"hospital": other.hospital, "dataset": other.dataset.identity} for other in others],
        }
        split, _ = self._spec.dataset(hospital.dataset).split.member()
        evaluate = EvaluateSpec(
            hospital=hospital,
            encoders=self._spec.encoders,
            dataset=dataset,
            split=split,
            adapt=adapt,
            also_on=others,
        )
        parents = [dataset, adapt, *(other.dataset for other in others)]
        return self._stage("evaluate", hospital.name, relevant_input, parents, StageWork(evaluate=evaluate))

    def _report(self) -> StageSpec:
        stages = tuple(self._references.values())
        relevant_input = {"job": self._job.metadata.name, "stages": [stage.identity for stage in stages]}
        manifest = self._job.model_copy(update={"status": None}).plain()
        work = StageWork(
            report=ReportSpec(job_name=self._job.metadata.name, manifest=manifest, stages=stages)
        )
        return self._stage("report", self._job.metadata.name, relevant_input, list(stages), work)

    def _encoders(self, *, uses_text: bool) -> dict[str, Any]:
        """The towers that a stage uses; a text tower that it does not use changes nothing of it."""
        encoders = self._spec.encoders
        described: dict[str, Any] = {"image": relevant(encoders.image)}
        if encoders.image.init.uri is not None:
            described["imageDigest"] = self._digest("encoders/image")
        if uses_text and encoders.text is not None:
            described["text"] = relevant(encoders.text)
            if encoders.text.init.uri is not None:
                described["textDigest"] = self._digest("encoders/text")
        return described

    def _start(self, owner: str, start: StartFrom, label: str) -> Start:
        if start.stage is not None:
            reference = self._references["pretrain", start.stage]
            return Start(label=label, stage=reference, identity=reference.identity)
        if start.manifest is not None:
            identity = identity_of({"manifest": start.manifest.sha256})
            reference = StageReference(
                kind="pretrain",
                name="external",
                identity=identity,
                uri=start.manifest.uri,
                manifest_sha256=start.manifest.sha256,
            )
            return Start(label=label, stage=reference, identity=identity)
        if start.weights is not None:
            digest = self._digest(f"{owner}/weights/{start.weights.uri}")
            identity = identity_of({"weights": digest, "format": start.weights.format})
            return Start(
                label=label,
                weights_uri=start.weights.uri,
                weights_format=start.weights.format,
                identity=identity,
            )
        return Start(
            label=label,
            identity=identity_of({"random": self._encoders(uses_text=False), "seed": self._spec.seed}),
        )

    def _digest(self, key: str) -> str:
        try:
            return self._digests[key]
        except KeyError:
            raise UnresolvedDigest(f"the digest of {key} is not known; run preflight first") from None
