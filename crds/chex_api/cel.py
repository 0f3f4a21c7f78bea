"""The rules of `chex_api.rules` and of the runtimes' models in CEL, for the API server.

Each rule hangs on the lowest object that holds all it speaks of. The API server estimates the cost of a rule from the
declared bounds and refuses a CRD that could cost too much, so rules that compare lists are written to stay below that.
"""

from dataclasses import dataclass

from chex_api.rules import SEARCH_BOUNDS


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
    CelRule(
        "",
        "self.pretraining.all(run, !has(run.objective.supervised) || self.datasets.all(dataset, dataset.name != run.dataset || "
        "sets.contains(dataset.tasks.map(task, task.name), run.objective.supervised.tasks)))",
        "each pretraining[].objective.supervised.tasks must name tasks of its data set",
    ),
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
    CelRule(
        "",
        "has(self.encoders.text) || (self.pretraining.all(run, !has(run.objective.clip)) && self.hospitals.all(hospital, "
        "hospital.strategies.all(strategy, !has(strategy.dapt) || !has(strategy.dapt.objective.clip))))",
        "objective clip needs a text encoder; add encoders.text",
    ),
    CelRule(
        "",
        "self.pretraining.all(run, !has(run.objective.clip) || self.datasets.all(dataset, dataset.name != run.dataset || "
        "!(has(dataset.source.nihChestXray14) || has(dataset.source.dicomFolder) || (has(dataset.source.table) && dataset.source.table.reportColumn == '' && dataset.source.table.reportColumns.size() == 0) || "
        "(has(dataset.source.phantom) && !dataset.source.phantom.reports))))",
        "objective clip learns from reports, but the data set of a pretraining run has none",
    ),
    CelRule(
        "",
        "self.hospitals.all(hospital, hospital.strategies.all(strategy, !has(strategy.dapt) || !has(strategy.dapt.objective.clip)) || "
        "self.datasets.all(dataset, dataset.name != hospital.dataset || "
        "!(has(dataset.source.nihChestXray14) || has(dataset.source.dicomFolder) || (has(dataset.source.table) && dataset.source.table.reportColumn == '' && dataset.source.table.reportColumns.size() == 0) || "
        "(has(dataset.source.phantom) && !dataset.source.phantom.reports))))",
        "objective clip learns from reports, but the data set of a hospital has none",
    ),
    CelRule(
        "",
        "self.pretraining.all(run, !has(run.objective.supervised) || "
        "self.datasets.all(dataset, dataset.name != run.dataset || dataset.tasks.size() > 0))",
        "objective supervised learns from tasks, but the data set has none; add datasets[].tasks",
    ),
    # Numbers that must fit
    CelRule(
        "pretraining[]",
        "self.optimization.globalBatchSize % self.batchNorm.groupSize == 0",
        "optimization.globalBatchSize must be a multiple of batchNorm.groupSize; change one of them",
    ),
    CelRule(
        "pretraining[]",
        "!has(self.objective.moCo) || self.objective.moCo.queueSize % self.optimization.globalBatchSize == 0",
        "objective.moCo.queueSize must be a multiple of optimization.globalBatchSize; change one of them",
    ),
    CelRule(
        "hospitals[].strategies[].dapt",
        "!has(self.objective.moCo) || self.objective.moCo.queueSize % self.globalBatchSize == 0",
        "objective.moCo.queueSize must be a multiple of globalBatchSize; change one of them",
    ),
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
        "!has(self.split.official) || has(self.source.nihChestXray14)",
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
