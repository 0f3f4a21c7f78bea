"""The plan: from a manifest and the digests of its sources to a graph of stages with identities. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from chex_api.dataset import Dataset, FileSource, Task
from chex_api.hospital import Hospital
from chex_api.identity import identity_of, relevant
from chex_api.job import ChexTrainingJob, JobSpec
from chex_api.pretraining import PretrainingRun, StartFrom
from chex_api.stage import (
    AdaptSpec,
    DatasetReference,
    EvaluateSpec,
    Exposure,
    IngestSpec,
    LabelReference,
    OtherTestSet,
    PretrainSpec,
    ReportSpec,
    StageKind,
    StageReference,
    StageSpec,
    StageWork,
    Start,
    WeightsFromElsewhere,
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
        *(("ingest", dataset.name) for dataset in used_datasets(spec)),
        *(("pretrain", run.name) for run in spec.pretraining),
        *(("adapt", hospital.name) for hospital in spec.hospitals),
        *(("evaluate", hospital.name) for hospital in spec.hospitals),
        ("report", job.metadata.name),
    ]


def locations(spec: JobSpec) -> list[Location]:
    """Every location whose digest the plan needs. Generated images lie nowhere: their settings say all."""
    found = [
        Location(f"datasets/{dataset.name}", source.uri)
        for dataset in used_datasets(spec)
        if isinstance(source := dataset.source.settings, FileSource)
    ]
    if spec.encoders.image.init.uri is not None:
        found.append(Location("encoders/image", spec.encoders.image.init.uri))
    if spec.encoders.text is not None and spec.encoders.text.init.uri is not None:
        found.append(Location("encoders/text", spec.encoders.text.init.uri))
    for owner, start in _starts(spec):
        if start.weights is not None:
            found.append(Location(f"{owner}/weights/{start.weights.uri}", start.weights.uri))
    return found


def label_key(dataset: str, task: str) -> str:
    """Key, among the digests, of what a data set's table answers to a task."""
    return f"datasets/{dataset}/tasks/{task}"


def labels_identity(digest: str) -> str:
    """Identity of the labels of a task whose answers have this digest."""
    return identity_of({"labels": digest})


def digest_keys(spec: JobSpec) -> list[str]:
    """Every key whose digest `make_plan` needs: of each location, and of the labels that some stage reads."""
    keys = [location.key for location in locations(spec)]
    for dataset in used_datasets(spec):
        if not dataset.source.is_generated:
            keys += [label_key(dataset.name, task) for task in used_tasks(spec, dataset)]
    return keys


def used_tasks(spec: JobSpec, dataset: Dataset) -> tuple[str, ...]:
    """The tasks of a data set that a hospital, a pretraining, or another hospital's `alsoOn` reads."""
    asked: set[str] = set()
    for run in spec.pretraining:
        if run.dataset == dataset.name:
            asked.update(learned_tasks(spec, run))
    for hospital in spec.hospitals:
        reads = [hospital.dataset, *(spec.hospital(name).dataset for name in hospital.evaluation.also_on)]
        if dataset.name in reads:
            asked.update(hospital.tasks)
    return tuple(task.name for task in dataset.tasks if task.name in asked)


def fold_tasks(spec: JobSpec, dataset: Dataset) -> tuple[str, ...]:
    """The tasks by whose outcomes patients are dealt out to folds; none where the split has no folds."""
    if dataset.split.grouped_folds is None:
        return ()
    asked = {
        task for hospital in spec.hospitals if hospital.dataset == dataset.name for task in hospital.tasks
    }
    return tuple(task.name for task in dataset.tasks if task.name in asked)


def learned_tasks(spec: JobSpec, run: PretrainingRun) -> tuple[str, ...]:
    """The tasks whose labels a pretraining learns."""
    return run.objective.settings.learned_tasks(tuple(task.name for task in spec.dataset(run.dataset).tasks))


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
    """The stages of a valid job. `digests` holds a digest for each of `digest_keys(job.spec)`.

    Raises `UnresolvedDigest` for a key that is not there.
    """
    planner = _Planner(job, digests)
    return Plan(tuple(planner.stages()))


def start_labels(starts: tuple[StartFrom, ...]) -> list[str]:
    """A label for each start, made unique with a number where two have the same."""
    labels: list[str] = []
    for start in starts:
        label = start.label()
        twins = sum(1 for earlier in starts[: len(labels)] if earlier.label() == label)
        labels.append(label if not twins else f"{label}-{twins + 1}")
    return labels


def _identified(kind: StageKind, relevant_input: dict[str, Any]) -> dict[str, Any]:
    """What a stage's identity is the digest of."""
    return {"kind": kind, "implementationVersion": IMPLEMENTATION_VERSIONS[kind], **relevant_input}


def _films_of(dataset: Dataset) -> dict[str, Any]:
    """What decides a data set's films, patients and parts: all of it but the tasks, whose labels stand beside the films."""
    return {name: value for name, value in relevant(dataset).items() if name != "tasks"}


def used_datasets(spec: JobSpec) -> list[Dataset]:
    """The data sets that a pretraining or a hospital reads."""
    used = {run.dataset for run in spec.pretraining} | {hospital.dataset for hospital in spec.hospitals}
    used |= {name for _, start in _starts(spec) if start.weights for name in start.weights.trained_on}
    return [dataset for dataset in spec.datasets if dataset.name in used]


def _seen_datasets(exposures: tuple[Exposure, ...]) -> list[StageReference]:
    seen = (reference for each in exposures for reference in (*each.training, *each.whole))
    return list(dict.fromkeys(seen))


def _starts(spec: JobSpec) -> Iterator[tuple[str, StartFrom]]:
    for run in spec.pretraining:
        yield f"pretraining/{run.name}", run.start_from
    for hospital in spec.hospitals:
        for start in hospital.start_from:
            yield f"hospitals/{hospital.name}", start


def _identities(dataset: DatasetReference) -> dict[str, Any]:
    """What identifies a data set as a stage reads it: its films, and the labels asked for."""
    labels = {label.task: label.identity for label in dataset.labels}
    return {"dataset": dataset.films.identity, **({"labels": labels} if labels else {})}


class _Planner:
    """Builds stages parent first, so that every identity can name those it follows from."""

    def __init__(self, job: ChexTrainingJob, digests: Mapping[str, str]) -> None:
        self._job = job
        self._spec = job.spec
        self._digests = digests
        self._references: dict[tuple[StageKind, str], StageReference] = {}

    def stages(self) -> Iterator[StageSpec]:
        for dataset in used_datasets(self._spec):
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
        identified = _identified(kind, relevant_input)
        identity = identity_of(identified)
        domain = work.ingest.dataset.domain() if work.ingest is not None else ""
        self._references[kind, name] = StageReference(
            kind=kind, name=name, identity=identity, patient_domain=domain
        )
        return StageSpec(
            kind=kind,
            name=name,
            identity=identity,
            seed=self._spec.seed,
            artifacts_uri=self._spec.artifacts.uri,
            parents=tuple(dict.fromkeys(parents)),
            identified=identified,
            work=work,
        )

    def _ingest(self, dataset: Dataset) -> StageSpec:
        digest = "" if dataset.source.is_generated else self._digest(f"datasets/{dataset.name}")
        relevant_input: dict[str, Any] = {
            "seed": self._spec.seed,
            "dataset": _films_of(dataset),
            "source": digest,
        }
        labels = self._labels(dataset, used_tasks(self._spec, dataset))
        outcomes = fold_tasks(self._spec, dataset)
        if outcomes:
            dealt_by = self._labels(dataset, outcomes)
            relevant_input["outcomes"] = {label.task: label.identity for label in dealt_by}
        ingest = IngestSpec(dataset=dataset, labels=labels, digest=digest, outcomes=outcomes)
        work = StageWork(ingest=ingest)
        return self._stage("ingest", dataset.name, relevant_input, [], work)

    def _dataset(self, name: str, tasks: tuple[str, ...]) -> DatasetReference:
        """A data set with the labels of those of the tasks that it has."""
        declared = self._spec.dataset(name)
        films = self._references["ingest", name]
        return DatasetReference(films=films, declared=declared, labels=self._labels(declared, tasks))

    def _labels(self, dataset: Dataset, tasks: tuple[str, ...]) -> tuple[LabelReference, ...]:
        """References to labels, in the order of `tasks`."""
        known = {task.name: task for task in dataset.tasks}
        return tuple(
            LabelReference(task=name, identity=self._label_identity(dataset, known[name]))
            for name in tasks
            if name in known
        )

    def _label_identity(self, dataset: Dataset, task: Task) -> str:
        """Of labels from a table by what the table answers; of generated ones by what makes and asks them."""
        if not dataset.source.is_generated:
            return labels_identity(self._digest(label_key(dataset.name, task.name)))
        asked = {name: value for name, value in relevant(task).items() if name != "name"}
        made = {"source": relevant(dataset.source), "views": list(dataset.views), "task": asked}
        return identity_of({"labels": made, "implementationVersion": IMPLEMENTATION_VERSIONS["ingest"]})

    def _pretrain(self, run: PretrainingRun) -> StageSpec:
        tasks = learned_tasks(self._spec, run)
        dataset = self._dataset(run.dataset, tasks)
        start = self._start(f"pretraining/{run.name}", run.start_from, run.start_from.label())
        uses_text = run.objective.settings.READS_REPORTS
        relevant_input = {
            "seed": self._spec.seed,
            "run": relevant(run),
            "encoders": self._encoders(uses_text=uses_text),
            "tasks": list(tasks),
            **_identities(dataset),
            "start": start.identity,
        }
        exposure = self._exposure(start.label, run.start_from)
        parents = [dataset.films, *_seen_datasets((exposure,))]
        parents += [start.stage] if start.stage is not None and not start.stage.uri else []
        work = StageWork(
            pretrain=PretrainSpec(
                run=run,
                encoders=self._spec.encoders,
                dataset=dataset,
                tasks=tasks,
                start=start,
                exposure=exposure,
            )
        )
        return self._stage("pretrain", run.name, relevant_input, parents, work)

    def _adapt(self, hospital: Hospital) -> StageSpec:
        dataset = self._dataset(hospital.dataset, hospital.tasks)
        starts = tuple(
            self._start(f"hospitals/{hospital.name}", start, label)
            for start, label in zip(hospital.start_from, start_labels(hospital.start_from), strict=True)
        )
        uses_text = any(strategy.reads_reports for strategy in hospital.strategies)
        relevant_input = {
            "seed": self._spec.seed,
            "hospital": relevant(hospital),
            "encoders": self._encoders(uses_text=uses_text),
            **_identities(dataset),
            "starts": [{"label": start.label, "identity": start.identity} for start in starts],
        }
        exposures = self._exposures(hospital)
        parents = [
            dataset.films,
            *(start.stage for start in starts if start.stage is not None and not start.stage.uri),
            *_seen_datasets(exposures),
        ]
        encoders = self._encoders(uses_text=uses_text)
        adapt = AdaptSpec(
            hospital=hospital,
            encoders=self._spec.encoders,
            dataset=dataset,
            starts=starts,
            text_digest=encoders.get("textDigest", ""),
            exposures=exposures,
        )
        return self._stage("adapt", hospital.name, relevant_input, parents, StageWork(adapt=adapt))

    def _exposures(self, hospital: Hospital) -> tuple[Exposure, ...]:
        labels = start_labels(hospital.start_from)
        return tuple(map(self._exposure, labels, hospital.start_from))

    def _exposure(self, label: str, start: StartFrom) -> Exposure:
        """What the weights of a start have seen, back to the first ones."""
        training: list[StageReference] = []
        while start.stage is not None:
            run = self._spec.pretraining_run(start.stage)
            training.append(self._references["ingest", run.dataset])
            start = run.start_from
        weights = start.weights
        trained_on = weights.trained_on if weights is not None else ()
        return Exposure(
            start=label,
            training=tuple(dict.fromkeys(training)),
            whole=tuple(self._references["ingest", name] for name in trained_on),
            elsewhere=self._elsewhere(start),
        )

    def _elsewhere(self, first: StartFrom) -> tuple[WeightsFromElsewhere, ...]:
        """The weights that this job did not train, of a start that is no stage of it."""
        if first.manifest is not None:
            return (WeightsFromElsewhere(uri=first.manifest.uri, manifest_sha256=first.manifest.sha256),)
        if first.weights is not None:
            return (WeightsFromElsewhere(uri=first.weights.uri, declared=bool(first.weights.trained_on)),)
        init = self._spec.encoders.image.init.uri
        return (WeightsFromElsewhere(uri=init),) if init is not None else ()

    def _evaluate(self, hospital: Hospital) -> StageSpec:
        dataset = self._dataset(hospital.dataset, hospital.tasks)
        adapt = self._references["adapt", hospital.name]
        others = tuple(
            OtherTestSet(
                hospital=name, dataset=self._dataset(self._spec.hospital(name).dataset, hospital.tasks)
            )
            for name in hospital.evaluation.also_on
        )
        relevant_input: dict[str, Any] = {
            "evaluation": relevant(hospital.evaluation),
            "adapt": adapt.identity,
            "alsoOn": [{"hospital": other.hospital, **_identities(other.dataset)} for other in others],
        }
        exposures = self._exposures(hospital)
        declared = {each.start: [seen.identity for seen in each.whole] for each in exposures if each.whole}
        if declared:
            relevant_input["trainedOn"] = declared
        split, _ = self._spec.dataset(hospital.dataset).split.member()
        evaluate = EvaluateSpec(
            hospital=hospital,
            encoders=self._spec.encoders,
            dataset=dataset,
            split=split,
            adapt=adapt,
            also_on=others,
            exposures=exposures,
        )
        parents = [dataset.films, adapt, *(other.dataset.films for other in others)]
        parents += _seen_datasets(exposures)
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
