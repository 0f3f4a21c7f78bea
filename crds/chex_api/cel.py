"""The rules of `chex_api.rules` and of the runtimes' models in CEL, for the API server.

Each rule hangs on the lowest object that holds all it speaks of. The API server estimates the cost of a rule from the
declared bounds and refuses a CRD that could cost too much, so rules that compare lists are written to stay below that.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from chex_api.dataset import Source, SourceSettings
from chex_api.objective import DaptObjective, Objective
from chex_api.rules import SEARCH_BOUNDS, wire_name_of


@dataclass(frozen=True)
class CelRule:
    """`expression` must hold for the object at `path`; `message` is what the user reads when it does not.

    Paths are those of `chex_api.structural.at`, below `spec`; the empty path is `spec` itself.
    """

    path: str
    expression: str
    message: str

    def plain(self) -> dict[str, str]:
        """As it stands in a CRD."""
        return {"rule": self.expression, "message": self.message}


LOCATION_FIELDS = frozenset({"uri", "file", "path"})
"""Fields that say where something lies."""
STAYS_INSIDE = ("!('/' + self + '/').contains('/../')", "must not contain '..'; write the folder itself")
"""Expression and message for each location."""


def _search_rules() -> tuple[CelRule, ...]:
    """A search draws only what the searched field takes."""
    return tuple(
        CelRule(
            "hospitals[].sweep.space[]",
            f"self.parameter != '{parameter}' || "
            f"((!has(self.logUniform) || (self.logUniform.min >= {low!r} && self.logUniform.max <= {high!r})) && "
            f"(!has(self.uniform) || (self.uniform.min >= {low!r} && self.uniform.max <= {high!r})) && "
            f"(!has(self.numbers) || self.numbers.all(number, number >= {low!r} && number <= {high!r})))",
            f"{parameter} must lie from {low:g} to {high:g}",
        )
        for parameter, (low, high) in SEARCH_BOUNDS.items()
    )


def _has_no_reports(source: str) -> str:
    """Whether the source at a CEL path has no reports."""
    silent = (
        condition
        for name, each in Source.members().items()
        if (condition := _is_silent(f"{source}.{name}", each)) is not None
    )
    return " || ".join(silent)


def _is_silent(path: str, source: type[SourceSettings]) -> str | None:
    """Whether this source is given and has no reports; None where it always has some."""
    fields = source.HAS_REPORTS
    if isinstance(fields, bool):
        return None if fields else f"has({path})"
    empty = [_is_empty(f"{path}.{wire_name_of(source, field)}", source, field) for field in fields]
    return f"(has({path}) && {' && '.join(empty)})"


def _is_empty(path: str, source: type[SourceSettings], field: str) -> str:
    match source.model_fields[field].default:
        case bool():
            return f"!{path}"
        case str():
            return f"{path} == ''"
        case _:
            return f"{path}.size() == 0"


def _objective_rules() -> Iterator[CelRule]:
    """Reports, a text encoder and tasks, where an objective needs them."""
    for name, each in Objective.members().items():
        if each.READS_REPORTS:
            yield from _rules_of_reports(name)
        if each.NEEDS_TASKS:
            yield CelRule(
                "",
                f"self.pretraining.all(run, !has(run.objective.{name}) || "
                "self.datasets.all(dataset, dataset.name != run.dataset || dataset.tasks.size() > 0))",
                f"objective {name} learns from tasks, but the data set has none; add datasets[].tasks",
            )


def _task_rules() -> Iterator[CelRule]:
    """The tasks that an objective learns exist."""
    for name, each in Objective.members().items():
        if each.NEEDS_TASKS:
            yield CelRule(
                "",
                f"self.pretraining.all(run, !has(run.objective.{name}) || "
                "self.datasets.all(dataset, dataset.name != run.dataset || "
                f"sets.contains(dataset.tasks.map(task, task.name), run.objective.{name}.tasks)))",
                f"each pretraining[].objective.{name}.tasks must name tasks of its data set",
            )


def _rules_of_reports(name: str) -> Iterator[CelRule]:
    """Of an objective that reads reports, in pretraining and, where hospitals may go on with it, in adaptation."""
    silent = _has_no_reports("dataset.source")
    in_pretraining = f"self.pretraining.all(run, !has(run.objective.{name}))"
    in_no_strategy = (
        f"hospital.strategies.all(strategy, !has(strategy.dapt) || !has(strategy.dapt.objective.{name}))"
    )
    adapts = name in DaptObjective.members()
    without = (
        f"({in_pretraining} && self.hospitals.all(hospital, {in_no_strategy}))" if adapts else in_pretraining
    )
    yield CelRule(
        "",
        f"has(self.encoders.text) || {without}",
        f"objective {name} needs a text encoder; add encoders.text",
    )
    yield CelRule(
        "",
        f"self.pretraining.all(run, !has(run.objective.{name}) || "
        f"self.datasets.all(dataset, dataset.name != run.dataset || !({silent})))",
        f"objective {name} learns from reports, but the data set of a pretraining run has none",
    )
    if adapts:
        yield CelRule(
            "",
            f"self.hospitals.all(hospital, {in_no_strategy} || "
            f"self.datasets.all(dataset, dataset.name != hospital.dataset || !({silent})))",
            f"objective {name} learns from reports, but the data set of a hospital has none",
        )


def _whole_batch_rules() -> Iterator[CelRule]:
    """Queues are whole batches."""
    holders = (
        ("pretraining[]", Objective, "optimization.globalBatchSize"),
        ("hospitals[].strategies[].dapt", DaptObjective, "globalBatchSize"),
    )
    for holder, union, batch in holders:
        for name, each in union.members().items():
            for field in each.WHOLE_BATCHES:
                path = f"objective.{name}.{wire_name_of(each, field)}"
                yield CelRule(
                    holder,
                    f"!has(self.objective.{name}) || self.{path} % self.{batch} == 0",
                    f"{path} must be a multiple of {batch}; change one of them",
                )


def _publishes_a_split(source: str) -> str:
    """Whether the source at a CEL path comes with a split of its own."""
    return " || ".join(
        f"has({source}.{name})" for name, each in Source.members().items() if each.PUBLISHES_SPLIT
    )


JOB_RULES = (
    # References
    CelRule(
        "",
        "self.pretraining.all(run, self.datasets.exists(dataset, dataset.name == run.dataset))",
        "each pretraining[].dataset must name an entry of datasets",
    ),
    CelRule(
        "",
        "self.pretraining.all(i, run, !has(run.startFrom.stage) || "
        "self.pretraining.exists(j, other, j < i && other.name == run.startFrom.stage))",
        "each pretraining[].startFrom.stage must name an earlier entry of pretraining",
    ),
    *_task_rules(),
    CelRule(
        "",
        "self.hospitals.all(hospital, self.datasets.exists(dataset, dataset.name == hospital.dataset))",
        "each hospitals[].dataset must name an entry of datasets",
    ),
    CelRule(
        "",
        "self.hospitals.all(hospital, self.datasets.all(dataset, dataset.name != hospital.dataset || "
        "sets.contains(dataset.tasks.map(task, task.name), hospital.tasks)))",
        "each hospitals[].tasks must name tasks of its data set",
    ),
    CelRule(
        "",
        "self.hospitals.all(hospital, hospital.startFrom.all(start, !has(start.stage) || "
        "self.pretraining.exists(run, run.name == start.stage)))",
        "each hospitals[].startFrom[].stage must name an entry of pretraining",
    ),
    CelRule(
        "",
        "self.hospitals.all(hospital, hospital.evaluation.alsoOn.all(name, name != hospital.name && "
        "self.hospitals.exists(other, other.name == name)))",
        "each hospitals[].evaluation.alsoOn must name other hospitals",
    ),
    CelRule(
        "",
        "self.pretraining.all(run, !has(run.startFrom.weights) || "
        "sets.contains(self.datasets.map(dataset, dataset.name), run.startFrom.weights.trainedOn))",
        "each pretraining[].startFrom.weights.trainedOn must name entries of datasets",
    ),
    CelRule(
        "",
        "self.hospitals.all(hospital, hospital.startFrom.all(start, !has(start.weights) || "
        "sets.contains(self.datasets.map(dataset, dataset.name), start.weights.trainedOn)))",
        "each hospitals[].startFrom[].weights.trainedOn must name entries of datasets",
    ),
    # Columns
    CelRule(
        "datasets[].source.table",
        "self.ageColumn == '' || self.subgroupColumns.all(name, name != self.ageColumn && name.lowerAscii() != 'age')",
        "subgroupColumns must not hold the age, which ageColumn names already",
    ),
    # What objectives learn from
    CelRule(
        "",
        "self.pretraining.all(run, self.datasets.all(dataset, dataset.name != run.dataset || !has(dataset.split.groupedFolds)))",
        "a data set that is divided into folds cannot be pretrained on: each of its patients tests once",
    ),
    *_objective_rules(),
    # Numbers that must fit
    CelRule(
        "pretraining[]",
        "self.optimization.globalBatchSize % self.batchNorm.groupSize == 0",
        "optimization.globalBatchSize must be a multiple of batchNorm.groupSize; change one of them",
    ),
    *_whole_batch_rules(),
    CelRule(
        "pretraining[].workers",
        "!has(self.minAvailable) || self.minAvailable <= self.count",
        "minAvailable must not be more than count",
    ),
    CelRule(
        "hospitals[].workers",
        "!has(self.minAvailable) || self.minAvailable <= self.count",
        "minAvailable must not be more than count",
    ),
    CelRule(
        "datasets[]",
        f"!has(self.split.official) || {_publishes_a_split('self.source')}",
        "this source publishes no split; use split.patients or split.groupedFolds",
    ),
    CelRule(
        "datasets[].source.table.image",
        "self.element == '' || (self.path == '{}' && self.stripPrefixes.size() == 0 && self.extension == '')",
        "path, stripPrefixes and extension say where a film lies, element finds films by their headers; use one way",
    ),
    CelRule(
        "datasets[].split.patients",
        "self.validate + self.test < 1.0",
        "validate and test leave no patients for training; their sum must be below 1",
    ),
    CelRule(
        "datasets[].tasks[].positive.range",
        "has(self.min) || has(self.max)",
        "needs min, max or both",
    ),
    CelRule(
        "datasets[].tasks[].positive.range",
        "!has(self.min) || !has(self.max) || self.min <= self.max",
        "is empty: min is above max",
    ),
    *(
        CelRule(
            f"{holder}.where[]",
            "self.values.size() + self.notValues.size() > 0",
            "keeps every row; give values or notValues",
        )
        for holder in ("datasets[].source.table", "datasets[].source.dicomFolder", "datasets[].tasks[]")
    ),
    CelRule(
        "datasets[].source.table",
        "self.reportColumn == '' || self.reportColumns.size() == 0",
        "reportColumns stands beside reportColumn; name all columns in one of them",
    ),
    CelRule(
        "hospitals[].sweep.space[]",
        "[has(self.logUniform), has(self.uniform), has(self.numbers)].filter(given, given).size() == 1",
        "must have exactly one of: logUniform, uniform, numbers",
    ),
    CelRule("hospitals[].sweep.space[].logUniform", "self.min < self.max", "is empty: min is not below max"),
    CelRule("hospitals[].sweep.space[].uniform", "self.min < self.max", "is empty: min is not below max"),
    *_search_rules(),
    # What cannot change
    CelRule(
        "artifacts.uri",
        "self == oldSelf",
        "cannot be changed; create a job of another name for another location",
    ),
)

RUNTIME_RULES = (
    CelRule(
        "pools[].tolerations[]",
        "self.operator != 'Exists' || self.value == ''",
        "value must be empty where operator is Exists",
    ),
    CelRule(
        "pools[].tolerations[]",
        "self.operator == 'Exists' || self.key != ''",
        "key must be given where operator is Equal",
    ),
)
