"""Rules that no single field can state: references, uniqueness, sizes that must fit.

Each rule looks at the plain manifest, not at the models, so that a manifest with a wrong type in one place still gets
all its other faults named at once. A rule passes over what has another shape than it expects: the models report that.
The CRD states the same rules in CEL (`chex_api.crd`); a test holds the two against each other on a real API server.
"""

from collections.abc import Callable, Iterator
from typing import Any, get_args

from chex_api.base import ApiModel
from chex_api.dataset import PatientSplit, Source, SourceSettings
from chex_api.faults import Fault
from chex_api.hospital import Dapt, FineTuning
from chex_api.objective import AnyObjective, DaptObjective, Objective, ObjectiveSettings
from chex_api.plain import is_list, is_object
from chex_api.pretraining import BatchNorm, Optimization, Workers
from chex_api.sweep import SweepParameter

Plain = dict[str, Any]
Rule = Callable[[Plain], Iterator[Fault]]

LIST_MAPS: dict[tuple[str, ...], str] = {
    ("datasets",): "name",
    ("datasets", "tasks"): "name",
    ("datasets", "source", "phantom", "prevalence"): "finding",
    ("pretraining",): "name",
    ("hospitals",): "name",
    ("hospitals", "strategies"): "name",
    ("hospitals", "sweep", "space"): "parameter",
}
"""Lists below `spec` whose entries are told apart by a key (`x-kubernetes-list-type: map`)."""

LIST_SETS: tuple[tuple[str, ...], ...] = (
    ("datasets", "views"),
    ("hospitals", "tasks"),
    ("hospitals", "labelFractions"),
    ("hospitals", "evaluation", "alsoOn"),
    ("hospitals", "startFrom", "weights", "trainedOn"),
    ("pretraining", "startFrom", "weights", "trainedOn"),
    *(
        ("pretraining", "objective", name, "tasks")
        for name, objective in Objective.members().items()
        if objective.NEEDS_TASKS
    ),
)
"""Lists below `spec` whose entries are all different (`x-kubernetes-list-type: set`)."""


def wire_name_of(model: type[ApiModel], field: str) -> str:
    """How a manifest names a field."""
    return model.model_fields[field].alias or field


def bounds_of(model: type[ApiModel], wire_name: str) -> tuple[float, float]:
    """The smallest and the largest value of a model's field, named as a manifest names it."""
    (field,) = [field for field in model.model_fields.values() if field.alias == wire_name]
    low = next(mark.ge for mark in field.metadata if hasattr(mark, "ge"))
    high = next(mark.le for mark in field.metadata if hasattr(mark, "le"))
    return float(low), float(high)


SEARCH_BOUNDS: dict[str, tuple[float, float]] = {
    parameter: bounds_of(FineTuning, parameter) for parameter in get_args(SweepParameter)
}
"""What each parameter of a search may be: the bounds of the field of `fineTuning` that a trial puts it into."""


def rule_faults(spec: Plain) -> list[Fault]:
    """Every fault against a rule in the plain `spec` of a job."""
    return [fault for rule in RULES for fault in rule(spec)]


def entries_are_unique(spec: Plain) -> Iterator[Fault]:
    """No two entries of a keyed list share their key; no entry of a set stands twice."""
    for location, key in LIST_MAPS.items():
        for path, items in _lists_at(spec, location):
            seen: set[Any] = set()
            for index, item in enumerate(items):
                value = item.get(key) if is_object(item) else None
                if isinstance(value, str) and value in seen:
                    yield Fault(
                        f"{path}[{index}].{key}",
                        f"{value!r} stands twice; every entry needs a {key} of its own",
                    )
                if isinstance(value, str):
                    seen.add(value)
    for location in LIST_SETS:
        for path, items in _lists_at(spec, location):
            for index, item in enumerate(items):
                if isinstance(item, (str, int, float)) and item in items[:index]:
                    yield Fault(f"{path}[{index}]", f"{item!r} stands twice; remove one")


def references_exist(spec: Plain) -> Iterator[Fault]:
    """Data sets, tasks, hospitals and stages that are named exist; a stage starts from an earlier one only."""
    datasets = {item["name"]: item for item in _dicts(spec, "datasets") if isinstance(item.get("name"), str)}
    stages = _names(spec, "pretraining")
    hospitals = _names(spec, "hospitals")
    for index, run in _indexed(spec, "pretraining"):
        path = f"spec.pretraining[{index}]"
        yield from _known(f"{path}.dataset", run.get("dataset"), list(datasets), "data set of spec.datasets")
        yield from _known(
            f"{path}.startFrom.stage",
            _get(run, "startFrom", "stage"),
            stages[:index],
            "earlier entry of spec.pretraining",
        )
        yield from _trained_on_exists(f"{path}.startFrom", run.get("startFrom"), list(datasets))
        for name, objective in _given(Objective, run.get("objective")):
            if objective.NEEDS_TASKS:
                wanted = _get(run, "objective", name, "tasks")
                there = datasets.get(_text(run.get("dataset")))
                yield from _tasks_exist(f"{path}.objective.{name}.tasks", wanted, there)
    for index, hospital in _indexed(spec, "hospitals"):
        path = f"spec.hospitals[{index}]"
        yield from _known(
            f"{path}.dataset", hospital.get("dataset"), list(datasets), "data set of spec.datasets"
        )
        yield from _tasks_exist(
            f"{path}.tasks", hospital.get("tasks"), datasets.get(_text(hospital.get("dataset")))
        )
        for position, start in _indexed(hospital, "startFrom"):
            yield from _known(
                f"{path}.startFrom[{position}].stage", start.get("stage"), stages, "entry of spec.pretraining"
            )
            yield from _trained_on_exists(f"{path}.startFrom[{position}]", start, list(datasets))
        others = [name for name in hospitals if name != hospital.get("name")]
        for position, name in enumerate(_list(hospital.get("evaluation"), "alsoOn")):
            yield from _known(f"{path}.evaluation.alsoOn[{position}]", name, others, "other hospital")


def objectives_have_what_they_learn_from(spec: Plain) -> Iterator[Fault]:
    """Image + report objectives need reports and a text encoder; supervision needs tasks; folds forbid pretraining."""
    datasets = {item["name"]: item for item in _dicts(spec, "datasets") if isinstance(item.get("name"), str)}
    has_text_encoder = is_object(_get(spec, "encoders", "text"))
    for index, run in _indexed(spec, "pretraining"):
        dataset = datasets.get(_text(run.get("dataset")), {})
        path = f"spec.pretraining[{index}]"
        if _get(dataset, "split", "groupedFolds") is not None:
            yield Fault(
                f"{path}.dataset",
                "is divided into folds, in which each patient tests once; pretrain on a data set with another split",
            )
        for name, objective in _given(Objective, run.get("objective")):
            if objective.READS_REPORTS:
                yield from _can_read_reports(f"{path}.objective.{name}", dataset, has_text_encoder)
            if objective.NEEDS_TASKS and dataset and not _list(dataset, "tasks"):
                yield Fault(
                    f"{path}.objective.{name}",
                    "learns from tasks, but the data set has none; add spec.datasets[].tasks",
                )
    for index, hospital in _indexed(spec, "hospitals"):
        dataset = datasets.get(_text(hospital.get("dataset")), {})
        shares = _get(dataset, "split", "patients")
        if is_object(shares) and (shares.get("validate") == 0 or shares.get("test") == 0):
            yield Fault(
                f"spec.hospitals[{index}].dataset",
                "keeps no patients for validation or for test, and a hospital needs both; set split.patients of the data set",
            )
        for position, strategy in _indexed(hospital, "strategies"):
            for name, objective in _given(DaptObjective, _get(strategy, "dapt", "objective")):
                if objective.READS_REPORTS:
                    path = f"spec.hospitals[{index}].strategies[{position}].dapt.objective.{name}"
                    yield from _can_read_reports(path, dataset, has_text_encoder)


def batches_divide(spec: Plain) -> Iterator[Fault]:
    """A global batch is whole BatchNorm groups, and a queue is whole global batches."""
    for index, run in _indexed(spec, "pretraining"):
        path = f"spec.pretraining[{index}]"
        batch = _int(
            _get(run, "optimization", "globalBatchSize"), _default(Optimization, "global_batch_size")
        )
        group = _int(_get(run, "batchNorm", "groupSize"), _default(BatchNorm, "group_size"))
        if batch and group and batch % group:
            yield Fault(
                f"{path}.optimization.globalBatchSize",
                f"{batch} is not a multiple of batchNorm.groupSize {group}; change one of them",
            )
        yield from _whole_batches(f"{path}.objective", Objective, run.get("objective"), batch)
    for index, hospital in _indexed(spec, "hospitals"):
        for position, strategy in _indexed(hospital, "strategies"):
            path = f"spec.hospitals[{index}].strategies[{position}].dapt"
            batch = _int(_get(strategy, "dapt", "globalBatchSize"), _default(Dapt, "global_batch_size"))
            objective = _get(strategy, "dapt", "objective")
            yield from _whole_batches(f"{path}.objective", DaptObjective, objective, batch)


def numbers_fit_together(spec: Plain) -> Iterator[Fault]:
    """Ranges are not empty, shares leave patients for training, worker counts do not contradict each other."""
    for index, dataset in _indexed(spec, "datasets"):
        path = f"spec.datasets[{index}]"
        yield from _split_fits(path, dataset)
        yield from _films_are_named_once(f"{path}.source.table.image", dataset)
        for position, task in _indexed(dataset, "tasks"):
            limits = _get(task, "positive", "range")
            if is_object(limits):
                where = f"{path}.tasks[{position}].positive.range"
                if limits.get("min") is None and limits.get("max") is None:
                    yield Fault(where, "needs min, max or both")
                yield from _ordered(where, limits, allow_equal=True)
    for index, run in _indexed(spec, "pretraining"):
        yield from _workers_fit(f"spec.pretraining[{index}].workers", run.get("workers"))
    for index, hospital in _indexed(spec, "hospitals"):
        yield from _workers_fit(f"spec.hospitals[{index}].workers", hospital.get("workers"))
        for position, entry in _indexed(hospital.get("sweep"), "space"):
            where = f"spec.hospitals[{index}].sweep.space[{position}]"
            given = [name for name in ("logUniform", "uniform", "numbers") if entry.get(name) is not None]
            if len(given) != 1:
                yield Fault(
                    where, f"must have exactly one of: logUniform, uniform, numbers; it has {len(given)}"
                )
            for name in ("logUniform", "uniform"):
                yield from _ordered(f"{where}.{name}", entry.get(name), allow_equal=False)
            yield from _usable(where, entry)


def rows_are_told_by_one_rule(spec: Plain) -> Iterator[Fault]:
    """A filter says what to keep or what to leave out; reports stand in one column or in several."""
    for index, dataset in _indexed(spec, "datasets"):
        path = f"spec.datasets[{index}]"
        table = _get(dataset, "source", "table")
        if is_object(table):
            yield from _filters_filter(f"{path}.source.table.where", table)
            if table.get("reportColumn") and _list(table, "reportColumns"):
                yield Fault(
                    f"{path}.source.table.reportColumns",
                    "stands beside reportColumn; name all columns in one of them",
                )
        yield from _filters_filter(f"{path}.source.dicomFolder.where", _get(dataset, "source", "dicomFolder"))
        for position, task in _indexed(dataset, "tasks"):
            yield from _filters_filter(f"{path}.tasks[{position}].where", task)


def locations_stay_inside(spec: Plain) -> Iterator[Fault]:
    """No path climbs out of its folder."""
    for path, value in _strings(spec, "spec"):
        if path.rsplit(".", 1)[-1] in ("uri", "file", "path") and ".." in value.split("/"):
            yield Fault(path, "must not contain '..'; write the folder itself")


def ages_are_declared_once(spec: Plain) -> Iterator[Fault]:
    """What `ageColumn` names is stored as `age`; no subgroup column stands for the same, or is stored under that name."""
    for index, dataset in _indexed(spec, "datasets"):
        table = _get(dataset, "source", "table")
        age = _text(_get(table, "ageColumn"))
        for position, name in enumerate(_list(table, "subgroupColumns") if age else []):
            if name == age or _text(name).lower() == "age":
                yield Fault(
                    f"spec.datasets[{index}].source.table.subgroupColumns[{position}]",
                    f"{name!r} is the age, which ageColumn names already; remove it here",
                )


RULES: tuple[Rule, ...] = (
    ages_are_declared_once,
    entries_are_unique,
    references_exist,
    objectives_have_what_they_learn_from,
    batches_divide,
    numbers_fit_together,
    rows_are_told_by_one_rule,
    locations_stay_inside,
)


def _can_read_reports(path: str, dataset: Plain, has_text_encoder: bool) -> Iterator[Fault]:
    if not has_text_encoder:
        yield Fault(path, "needs a text encoder; add spec.encoders.text")
    for name, source in _sources(dataset):
        if not _has_reports(source, dataset["source"][name]):
            yield Fault(path, "learns from reports, but the data set has none")


def _has_reports(source: type[SourceSettings], settings: Plain) -> bool:
    if isinstance(source.HAS_REPORTS, bool):
        return source.HAS_REPORTS
    given = (
        settings.get(wire_name_of(source, field), _default(source, field)) for field in source.HAS_REPORTS
    )
    return any(given)


def _given(union: type[AnyObjective], value: Any) -> Iterator[tuple[str, type[ObjectiveSettings]]]:
    """The members of a union of objectives that a plain value gives."""
    return ((name, each) for name, each in union.members().items() if is_object(_get(value, name)))


def _sources(dataset: Plain) -> Iterator[tuple[str, type[SourceSettings]]]:
    """The members of `source` that a plain data set gives."""
    source = dataset.get("source")
    return ((name, each) for name, each in Source.members().items() if is_object(_get(source, name)))


def _tasks_exist(path: str, wanted: Any, dataset: Plain | None) -> Iterator[Fault]:
    if dataset is None or not is_list(wanted):
        return
    known = _names(dataset, "tasks")
    for index, name in enumerate(wanted):
        yield from _known(f"{path}[{index}]", name, known, "task of the data set")


def _trained_on_exists(path: str, start: Any, datasets: list[str]) -> Iterator[Fault]:
    for index, name in enumerate(_list(_get(start, "weights"), "trainedOn")):
        yield from _known(f"{path}.weights.trainedOn[{index}]", name, datasets, "data set of spec.datasets")


def _whole_batches(path: str, union: type[AnyObjective], value: Any, batch: int | None) -> Iterator[Fault]:
    """A queue is whole batches, each of which takes the place of the oldest one."""
    for name, objective in _given(union, value):
        for field in objective.WHOLE_BATCHES:
            wire_name = wire_name_of(objective, field)
            number = _int(_get(value, name, wire_name), _default(objective, field))
            if batch and number and number % batch:
                yield Fault(
                    f"{path}.{name}.{wire_name}",
                    f"{number} is not a multiple of the global batch {batch}; change one of them",
                )


def _split_fits(path: str, dataset: Plain) -> Iterator[Fault]:
    shares = _get(dataset, "split", "patients")
    if is_object(shares):
        validate = _number(shares.get("validate"), _default(PatientSplit, "validate_"))
        test = _number(shares.get("test"), _default(PatientSplit, "test"))
        if validate is not None and test is not None and validate + test >= 1.0:
            yield Fault(
                f"{path}.split.patients",
                "validate and test leave no patients for training; their sum must be below 1",
            )
    publishes = any(source.PUBLISHES_SPLIT for _, source in _sources(dataset))
    if is_object(dataset.get("source")) and not publishes and is_object(_get(dataset, "split", "official")):
        yield Fault(f"{path}.split.official", "this source publishes no split; use patients or groupedFolds")


def _films_are_named_once(path: str, dataset: Plain) -> Iterator[Fault]:
    image = _get(dataset, "source", "table", "image")
    if not is_object(image) or not image.get("element"):
        return
    if image.get("path", "{}") != "{}" or image.get("stripPrefixes") or image.get("extension"):
        yield Fault(
            path,
            "path, stripPrefixes and extension say where a film lies, element finds films by their headers; use one way",
        )


def _filters_filter(path: str, holder: Any) -> Iterator[Fault]:
    for index, where in _indexed(holder, "where"):
        if not _list(where, "values") and not _list(where, "notValues"):
            yield Fault(f"{path}[{index}]", "keeps every row; give values or notValues")


def _workers_fit(path: str, workers: Any) -> Iterator[Fault]:
    if not is_object(workers):
        return
    count = _int(workers.get("count"), _default(Workers, "count"))
    least = workers.get("minAvailable")
    if count and isinstance(least, int) and least > count:
        yield Fault(f"{path}.minAvailable", f"{least} is more than count {count}")


def _usable(path: str, entry: Plain) -> Iterator[Fault]:
    """Every number that a search may draw is one that the searched field takes."""
    bounds = SEARCH_BOUNDS.get(_text(entry.get("parameter")))
    if bounds is None:
        return
    low, high = bounds
    drawn = {
        f".{form}.{end}": _get(entry, form, end)
        for form in ("logUniform", "uniform")
        for end in ("min", "max")
    }
    drawn |= {f".numbers[{index}]": number for index, number in enumerate(_list(entry, "numbers"))}
    for place, value in drawn.items():
        number = _number(value, None)
        if number is not None and not low <= number <= high:
            yield Fault(
                f"{path}{place}",
                f"{number:g} is no {entry['parameter']}: it must lie from {low:g} to {high:g}",
            )


def _ordered(path: str, limits: Any, *, allow_equal: bool) -> Iterator[Fault]:
    if not is_object(limits):
        return
    low, high = _number(limits.get("min"), None), _number(limits.get("max"), None)
    if low is None or high is None:
        return
    if low > high or (low == high and not allow_equal):
        yield Fault(path, f"is empty: min {low:g} is not below max {high:g}")


def _known(path: str, value: Any, known: list[str], what: str) -> Iterator[Fault]:
    if isinstance(value, str) and value not in known:
        listed = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
        yield Fault(path, f"{value!r} is no {what}" + (f"; known: {listed}" if known else "; there is none"))


def _default(model: type[Any], field: str) -> Any:
    return model.model_fields[field].default


def _get(value: Any, *keys: str) -> Any:
    for key in keys:
        if not is_object(value):
            return None
        value = value.get(key)
    return value


def _list(value: Any, key: str) -> list[Any]:
    items = _get(value, key)
    return items if is_list(items) else []


def _indexed(value: Any, key: str) -> Iterator[tuple[int, Plain]]:
    return ((index, item) for index, item in enumerate(_list(value, key)) if is_object(item))


def _dicts(value: Any, key: str) -> list[Plain]:
    return [item for _, item in _indexed(value, key)]


def _names(value: Any, key: str) -> list[str]:
    return [_text(item.get("name")) if is_object(item) else "" for item in _list(value, key)]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _int(value: Any, default: int | None) -> int | None:
    if value is None:
        return default
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any, default: float | None) -> float | None:
    if value is None:
        return default
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _lists_at(spec: Plain, location: tuple[str, ...]) -> Iterator[tuple[str, list[Any]]]:
    """Every list at a location below `spec`; lists on the way are gone through entry by entry."""
    found: list[tuple[str, Any]] = [("spec", spec)]
    for key in location:
        opened = [
            (f"{path}[{index}]", item)
            for path, value in found
            if is_list(value)
            for index, item in enumerate(value)
        ] + [(path, value) for path, value in found if is_object(value)]
        found = [(f"{path}.{key}", value[key]) for path, value in opened if is_object(value) and key in value]
    return ((path, value) for path, value in found if is_list(value))


def _strings(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif is_object(value):
        for key, item in value.items():
            yield from _strings(item, f"{path}.{key}")
    elif is_list(value):
        for index, item in enumerate(value):
            yield from _strings(item, f"{path}[{index}]")
