"""What an evaluation says: the contract between the statistics and the report.

``evaluate/<hospital>`` writes one ``HospitalResults`` as ``metrics.json``; the report stage joins them into
one ``Results``. Everything here is a frozen value without behaviour beyond naming; ``results_json`` writes
and reads it.

Conventions that hold for every field:

* a number that could not be computed is ``None`` and the ``reason`` beside it says why; it is never 0
  and never NaN;
* probabilities, rates, AUROC and AUPRC lie in [0, 1]; a *deficit* is reference minus arm, so positive
  means worse;
* counts are of scored units (films, studies or patients, see ``HospitalResults.unit``) unless the name
  says otherwise;
* nothing names a patient, a study or a file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

SCHEMA = "chexdragon.dev/results/v1"


class Sufficiency(StrEnum):
    """Whether a test set can carry an interval at all."""

    SUFFICIENT = "Sufficient"
    """At least 20 patients in the smaller class."""
    INSUFFICIENT_DATA = "InsufficientData"
    """Fewer: point estimates only, no interval, and no claim."""


class ArmVerdict(StrEnum):
    """What the test set says about one arm beside the reference arm."""

    REFERENCE = "Reference"
    """The arm chosen on validation; the others are compared with it."""
    BETTER = "Better"
    """The simultaneous upper bound of its deficit is below zero."""
    WITHIN_MARGIN = "WithinMargin"
    """The simultaneous upper bound of its deficit is below the margin: as good for the hospital's purpose."""
    WORSE = "Worse"
    """The simultaneous lower bound of its deficit is above zero, and the upper bound is not below the
    margin."""
    NOT_DISTINGUISHABLE = "NotDistinguishable"
    """Neither: the test set is too small to say."""
    INSUFFICIENT_DATA = "InsufficientData"
    """No task has enough patients to compare anything."""


class RecommendationVerdict(StrEnum):
    """What test patients say of the arm that validation chose (the reference), the first that applies."""

    VALIDATION_COULD_NOT_CHOOSE = "ValidationCouldNotChoose"
    """Every task lacks a class in training or validation: nothing is trained, chosen, tested or deployed."""
    INSUFFICIENT_DATA = "InsufficientData"
    """No task carries an interval. The reference is named, unproven."""
    NO_ARM_BETTER_THAN_CHANCE = "NoArmBetterThanChance"
    """No arm has a test AUROC that is shown to be above 0.5 (it may well be below)."""
    DEARER_ARM_BETTER = "DearerArmBetter"
    """An arm that costs as much or more is shown to be better than the reference, which stands: test chooses nothing."""
    CHEAPER_ARM_WITHIN_MARGIN = "CheaperArmWithinMargin"
    """An arm cheaper than the reference has a deficit shown to be below the margin."""
    REFERENCE_IS_CHEAPEST = "ReferenceIsCheapest"
    """The reference costs least of all, so there was nothing to save."""
    CHEAPER_ARMS_WORSE = "CheaperArmsWorse"
    """Every cheaper arm was shown to be worse."""
    NOT_DISTINGUISHABLE = "NotDistinguishable"
    """No cheaper arm was shown to be within the margin, and not all were shown to be worse."""


@dataclass(frozen=True, order=True)
class ArmKey:
    """One arm of a sweep: a start, a strategy and a share of the labels."""

    start: str
    """Name of the pretraining stage, ``random``, or the name of given weights."""
    strategy: str
    """Name of the strategy in the hospital's manifest entry."""
    label_fraction: float
    """Share of training and validation labels, in (0, 1]."""

    @property
    def label(self) -> str:
        """``start/strategy@fraction``; unique within a hospital, and the ``arm`` column of predictions."""
        return f"{self.start}/{self.strategy}@{self.label_fraction:g}"


@dataclass(frozen=True)
class Interval:
    """A confidence interval."""

    lower: float
    upper: float
    confidence: float
    """Nominal coverage in (0, 1), as in ``evaluation.confidence``."""
    method: str
    """How it was made: ``clustered-score`` (AUROC, AUPRC, Brier score), ``clustered-share`` (sensitivity,
    specificity) or ``clustered-difference`` (a difference of AUROCs); see docs/statistics.md."""


@dataclass(frozen=True)
class Estimate:
    """A number with what is known of its error."""

    value: float | None
    """Point estimate; ``None`` when undefined."""
    interval: Interval | None = None
    """``None`` when the value is undefined or the data cannot carry an interval."""
    standard_error: float | None = None
    """Standard error on the scale of ``value``, over patients and training repetitions; ``None`` without
    an interval."""
    reason: str = ""
    """Why ``value`` or ``interval`` is ``None``, as a sentence for the reader; empty when both are there."""


@dataclass(frozen=True)
class ClassCounts:
    """Size of a labelled set for one task. A patient with units of both classes counts in both."""

    units: int
    positive_units: int
    patients: int
    positive_patients: int
    """Patients with at least one positive unit."""
    negative_patients: int
    """Patients with at least one negative unit."""


@dataclass(frozen=True)
class TaskSummary:
    """One prediction task of a hospital and the data it has."""

    task: str
    train: ClassCounts
    """All training labels, before any label fraction. With grouped folds: all labelled units."""
    validate: ClassCounts
    """All validation labels. With grouped folds: all labelled units, each validated once."""
    test: ClassCounts
    """Test units. With grouped folds: all labelled units, each predicted by the model that never saw its
    patient."""
    sufficiency: Sufficiency
    reason: str
    """The sentence that goes with *insufficient data*; empty when sufficient."""


@dataclass(frozen=True)
class ArmCost:
    """What it takes to get an arm once: the next hospital of this kind draws its labels once.

    Ranking uses ``labelled_patients`` and then ``film_passes`` only, because these are the same on every run.
    """

    film_passes: float
    """Forward-equivalents of its DAPT, its whole search and the final fits of its first draw: one film once
    through the encoder is 1, forward and backward is 3. Pretraining is not shared out, and the other draws,
    which only measure how much the labels matter, are not counted."""
    labelled_patients: int
    """Training and validation patients whose labels it reads, in its first draw, all folds together."""
    trials: int
    """Trials of its search."""
    final_fits: int
    """Different final models of its first draw: seeds x folds, but the seeds of a linear probe share one."""
    device_seconds: float | None = None
    """Measured busy seconds of devices (GPU or CPU workers) over the same work as ``film_passes``. Never
    ranks: it differs from run to run."""


@dataclass(frozen=True)
class Replicate:
    """One final fit of an arm (with grouped folds: its fold models together) on one task."""

    draw: int
    """Which sample of the labels."""
    seed: int
    """Index of the final seed."""
    validation_auroc: float | None
    """``None`` when its validation set lacks a class."""
    test_auroc: float | None
    test_auprc: float | None


@dataclass(frozen=True)
class ArmTask:
    """One arm on one task. Estimates are means over the arm's replicates."""

    task: str
    validation_auroc: float | None
    """Mean over replicates. Optimistic: hyperparameters were chosen on the same patients. ``None``: a
    class is missing."""
    auroc: Estimate
    auprc: Estimate
    """Average precision; compare with the prevalence, which is its value for a useless model."""
    brier: Estimate
    """Mean squared error of calibrated probabilities."""
    expected_calibration_error: Estimate
    """Ten bins of equal mass, calibrated probabilities. Never has an interval: it is biased upwards at
    this size."""
    standard_error_test: float | None
    """Part of the AUROC's standard error that comes from the sample of test patients."""
    standard_error_training: float | None
    """Part that comes from draws and seeds; ``None`` when an arm has a single replicate, so that it was
    not measured."""
    replicates: tuple[Replicate, ...]


@dataclass(frozen=True)
class ArmResult:
    """One arm: its cost and its performance."""

    arm: ArmKey
    transfer: str
    """``LinearProbe``, ``FineTune`` or ``LPFT``."""
    dapt_objective: str
    """``moCo``, ``clip``, ...; empty without domain-adaptive pretraining."""
    cost: ArmCost
    hyperparameters: dict[str, float]
    """The winning trial's parameters, the same for all its final fits; with grouped folds each fold has its own, and
    the names end in ``(fold 0)`` and so on."""
    validation_score: float | None
    """What selection saw: mean validation AUROC over tasks and replicates. ``None``: no task has both
    classes."""
    mean_auroc: Estimate
    """Test AUROC averaged over the tasks with sufficient data (over all defined tasks, without interval,
    if none has)."""
    tasks: tuple[ArmTask, ...]


@dataclass(frozen=True)
class Comparison:
    """One arm against the reference arm on the same test units: paired."""

    arm: ArmKey
    deficit: float | None
    """Mean test AUROC of the reference minus that of this arm; ``None`` without a task with sufficient
    data."""
    standard_error: float | None
    lower: float | None
    """Simultaneous (max-t) one-sided lower bound of the deficit over all arms, in [-1, 1]. ``None`` where nothing
    can be said: no test patient tells the two arms apart, or too few repetitions."""
    upper: float | None
    """Simultaneous (max-t) one-sided upper bound of the deficit over all arms; compared with the margin."""
    verdict: ArmVerdict


@dataclass(frozen=True)
class TaskScaling:
    """What a member's logit of a task is multiplied by, and what is added, before the mean over members."""

    task: str
    slope: float
    intercept: float


@dataclass(frozen=True)
class DeployedModel:
    """A final fit whose weights are deployed: one member of the deployed model."""

    object_identity: str
    """Identity of the model's object in the artifact store (64 hex digits)."""
    draw: int
    seed: int
    fold: int
    """-1 without grouped folds; otherwise the deployed model has members of every fold."""
    scalings: tuple[TaskScaling, ...] = ()
    """By task. They hold the calibration of the whole: the sigmoid of the mean over members is the probability."""


@dataclass(frozen=True)
class DeployedPerformance:
    """What the deployed model, the mean of its members, reached on the test set, conditional on its weights."""

    task: str
    auroc: Estimate
    """With grouped folds: pairs within each fold, of out-of-fold scores, the mean over the members of each patient's own fold; all members
    together have no untouched patients."""
    calibrated: bool
    """Whether validation had both classes, so that slope and intercept could be fitted."""


@dataclass(frozen=True)
class Recommendation:
    """Two answers, and what supports them: what to deploy now, and what would be enough next time."""

    deploy: ArmKey | None
    """The arm that validation chose, the reference of all comparisons: best validation score among the arms
    with the most labels; ties go to the cheaper arm. Test data had no part, and what its search cost is
    spent. ``None`` when validation could not choose."""
    enough: ArmKey | None
    """The cheapest arm that test patients show to lose less than the margin against ``deploy``; ``None``
    where none is."""
    verdict: RecommendationVerdict
    proven: bool
    """Whether the verdict was shown by test patients: never true of what validation alone says."""
    sentence: str
    """The finding in one sentence, for people."""
    margin: float
    """Largest deficit in test AUROC that is acceptable, from the manifest."""
    confidence: float
    critical_value: float | None
    """The max-t critical value of normal errors; each bound takes the t quantile of the same level with its own degrees of freedom. ``None`` without comparisons."""
    tasks: tuple[str, ...]
    """Tasks with sufficient data: those whose mean AUROC is compared."""
    comparisons: tuple[Comparison, ...]
    """All arms, the reference included (deficit 0), in order of cost."""
    deployed: tuple[DeployedModel, ...]
    """The members of the model to deploy."""
    deployed_performance: tuple[DeployedPerformance, ...]
    enough_deployed: tuple[DeployedModel, ...] = ()
    """The members of the arm that is enough, were it deployed; empty where none is."""
    enough_performance: tuple[DeployedPerformance, ...] = ()
    deployed_as: str = "Ensemble"
    """``Ensemble``: the mean of the arm's final seeds; ``BestFit``: the one that was best on validation."""


@dataclass(frozen=True)
class MetadataBaseline:
    """A logistic regression that sees no pixel: what view, sex, age and device alone predict."""

    task: str
    features: tuple[str, ...]
    """Columns used; those absent from the data set are not listed."""
    auroc: Estimate
    auprc: Estimate
    gain: Estimate
    """AUROC of the arm to deploy minus the baseline's, paired. An interval that contains 0 is a warning."""
    reason: str
    """Why there is no baseline (no such columns, one class in training); empty when there is one."""


@dataclass(frozen=True)
class ReliabilityBin:
    """One bin of a reliability curve; fewer than 10 patients in a bin are merged into its neighbour."""

    mean_probability: float
    observed_rate: float
    units: int


@dataclass(frozen=True)
class OperatingPoint:
    """Sensitivity at a threshold that was fixed on validation for a wanted specificity."""

    wanted_specificity: float
    threshold: float | None
    """On the probability of the deployed model. ``None`` when validation lacks a class."""
    validation_sensitivity: float | None
    """Cross-fitted by patient: each patient was judged with a threshold from the others."""
    validation_specificity: float | None
    sensitivity: Estimate
    specificity: Estimate
    """On test; it may miss what was wanted, which is why it is printed."""


@dataclass(frozen=True)
class Calibration:
    """Calibration on one task of the model to deploy, or of the arm that is enough as it would be deployed."""

    arm: ArmKey
    task: str
    brier: Estimate
    expected_calibration_error: float | None
    slope: float | None
    """Slope of a logistic regression of labels on calibrated logits; below 1 is overconfident. ``None``:
    a class missing."""
    intercept: float | None
    """Its intercept with slope fixed at 1: positive when risks are underestimated."""
    bins: tuple[ReliabilityBin, ...]
    """Empty when data are insufficient."""
    operating_points: tuple[OperatingPoint, ...]


@dataclass(frozen=True)
class Curve:
    """A ROC or precision-recall curve of the arm to deploy, or of the one that is enough, as deployed."""

    arm: ArmKey
    task: str
    kind: str
    """``ROC`` (x false positive rate, y sensitivity) or ``PR`` (x recall, y precision)."""
    x: tuple[float, ...]
    y: tuple[float, ...]
    """At most 200 points; no curve where data are insufficient, as its steps would be single patients."""


@dataclass(frozen=True)
class SubgroupCell:
    """The arm to deploy on one level of a subgroup column."""

    column: str
    level: str
    """Value of the column; ``missing`` for blanks."""
    task: str
    patients: int | None
    """``None`` when suppressed."""
    positive_patients: int | None
    """``None`` when suppressed."""
    auroc: Estimate
    suppressed: bool
    """True below 10 patients, below 10 of either class, and where the cell would give such a one away."""


@dataclass(frozen=True)
class CrossHospitalCell:
    """A hospital's model on another hospital's test set, without adaptation there (``alsoOn``)."""

    trained_on: str
    tested_on: str
    task: str
    """A task that both hospitals have under this name."""
    arm: ArmKey
    auroc: Estimate
    own_auroc: Estimate
    """The same model on its own hospital's test set."""


@dataclass(frozen=True)
class FlowStep:
    """One step of the patient flow; the numbers are what remains after it."""

    name: str
    """``Listed``, ``Eligible``, ``Decoded``, ``Train``, ``Validate``, ``Test``, ``TestLabelled:<task>``
    and the like."""
    films: int
    patients: int | None
    """``None`` before patients are known (a file that was never read)."""
    removed_films: int
    """Films removed by this step; 0 for the branches of a split."""
    note: str
    """Reason in words; empty when the name says it."""


@dataclass(frozen=True)
class PatientFlow:
    """From listed films to scored units of one data set."""

    dataset: str
    steps: tuple[FlowStep, ...]
    quarantine: dict[str, int]
    """Films quarantined at ingest by reason, e.g. ``Truncated``, ``GitLfsPointer``."""


@dataclass(frozen=True)
class Opening:
    """One opening of test data, as in ``ledger.jsonl``."""

    sequence: int
    """1-based position among the openings that are counted together."""
    opened_at: str
    """UTC, ISO 8601."""
    dataset: str
    hospital: str
    """Hospital whose models were tested."""
    stage_identity: str
    """Identity of the evaluate stage (64 hex digits)."""
    attempt: str
    """Attempt that opened it."""
    purpose: str
    """``evaluate`` or ``alsoOn``."""
    units: int
    """Test films read."""


@dataclass(frozen=True)
class LedgerSummary:
    """How often test data were opened that share a patient or a film with these.

    Each look at the same test patients weakens the claim made from them.
    """

    count: int
    distinct_evaluations: int
    """Openings by different stage identities; repeats of an interrupted attempt do not add to it."""
    openings: tuple[Opening, ...]
    """Newest last; at most the newest 100."""


@dataclass(frozen=True)
class HospitalCompute:
    """What adapting and evaluating one hospital took."""

    film_passes: float
    """Forward-equivalents of the whole adaptation; what arms share counts once."""
    device_seconds: float | None
    """Measured busy seconds of the adaptation's devices, over all attempts."""
    trials: int
    dapt_runs: int
    final_fits: int
    wall_seconds: float | None
    """Adaptation and evaluation on the clock; ``None`` where the adaptation went on from an earlier attempt, whose
    time on the clock nobody measured."""


@dataclass(frozen=True)
class HospitalResults:
    """Everything about one hospital: the content of ``metrics.json``."""

    schema: str
    """``SCHEMA``; a reader refuses any other."""
    hospital: str
    dataset: str
    unit: str
    """What is scored: ``Image``, ``Study`` or ``Patient``."""
    split: str
    """``patients``, ``groupedFolds`` or ``official``."""
    num_folds: int
    """0 without grouped folds."""
    margin: float
    confidence: float
    tasks: tuple[TaskSummary, ...]
    arms: tuple[ArmResult, ...]
    """In order of cost."""
    recommendation: Recommendation
    metadata_baselines: tuple[MetadataBaseline, ...]
    calibrations: tuple[Calibration, ...]
    curves: tuple[Curve, ...]
    subgroups: tuple[SubgroupCell, ...]
    cross_hospital: tuple[CrossHospitalCell, ...]
    """This hospital's models elsewhere; the report joins the hospitals' rows into the matrix."""
    flow: PatientFlow
    ledger: LedgerSummary
    compute: HospitalCompute
    identities: dict[str, str]
    """Stage name -> identity (64 hex digits) of this evaluation and its parents."""
    warnings: tuple[str, ...] = ()
    """Sentences the reader must see: single replicates, tasks without both classes, metadata as good as
    the model."""
    unlearnable: dict[str, str] = field(default_factory=dict)
    """Tasks of the hospital that lack a class in training or validation -> why. They are trained by no arm."""
    selection_metric: str = "AUROC"
    """What validation compared: ``AUROC`` or ``AUPRC``; ``ArmResult.validation_score`` is on this scale."""


def reproducible_part(results: HospitalResults) -> HospitalResults:
    """The results without what is measured anew or grows on every run: seconds and the ledger.

    Two runs of the same job, interrupted or not, agree in this part bit for bit (on one machine).
    """
    return replace(
        results,
        arms=tuple(replace(arm, cost=replace(arm.cost, device_seconds=None)) for arm in results.arms),
        ledger=LedgerSummary(0, 0, ()),
        compute=replace(results.compute, device_seconds=None, wall_seconds=None),
    )


@dataclass(frozen=True)
class CurvePoint:
    """One point of a training curve."""

    step: int
    value: float


@dataclass(frozen=True)
class PretrainingSummary:
    """One pretraining run."""

    name: str
    dataset: str
    objective: str
    start: str
    epochs: float
    films: int
    """Training films it saw per epoch."""
    film_passes: float
    device_seconds: float | None
    """``None`` for a run that went on from an earlier attempt, whose time is not known; so ``wall_seconds``."""
    wall_seconds: float | None
    world_sizes: tuple[int, ...]
    """Workers over its attempts, oldest first."""
    final_metrics: dict[str, float]
    loss: tuple[CurvePoint, ...]
    """At most 500 points."""
    chance_loss: float | None = None
    """Loss of an untrained model on a contrastive objective; ``None`` for another."""
    chance_top1: float | None = None
    """Share that it would find by guessing."""
    top1: tuple[CurvePoint, ...] = ()
    """Share of queries that find their key, by step; empty where the objective does not tell it."""


@dataclass(frozen=True)
class Provenance:
    """What is needed to make this again."""

    seed: int
    chexdragon_version: str
    source_digests: dict[str, str]
    """Data set name -> SHA-256 of its sources."""
    stage_identities: dict[str, str]
    """``kind/name`` -> identity."""
    manifest_sha256: dict[str, str]
    """``kind/name`` -> SHA-256 of the stage's ``manifest.json``."""
    environment: dict[str, str]
    """Versions of Python and libraries, image digest, device names. Recorded, not identified."""
    spec_yaml: str
    """The accepted manifest."""


@dataclass(frozen=True)
class Results:
    """Everything the report prints."""

    schema: str
    job: str
    namespace: str
    """Empty for a local run."""
    created_at: str
    """UTC, ISO 8601."""
    generated_data: bool
    """True when any data set is the phantom: nothing in the report may then be called accuracy."""
    hospitals: tuple[HospitalResults, ...]
    pretraining: tuple[PretrainingSummary, ...]
    archive_flows: tuple[PatientFlow, ...]
    """Data sets that are pretrained on; a hospital's own flow stands with the hospital."""
    provenance: Provenance
    artifacts_uri: str
    """Where everything named here lies."""
