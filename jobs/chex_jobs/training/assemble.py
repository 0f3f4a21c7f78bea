"""From a `TrainingRun` to its objective and its batches on one worker."""

from torch import nn

from chex_api.sizes import size_faults
from chex_jobs.data.dataset.chest_xray_dataset import ChestXrayDataset
from chex_jobs.data.loading.batch_source import BatchSource
from chex_jobs.data.reports.report_texts import ReportTexts
from chex_jobs.data.reports.tokens import TokenizedTexts
from chex_jobs.handover.files import IMAGE_ENCODER, TEXT_ENCODER
from chex_jobs.models import build_image_encoder, build_text_encoder, build_tokenizer
from chex_jobs.models.image_encoder import ImageEncoderModule
from chex_jobs.models.image_weights import load_image_encoder
from chex_jobs.models.text_encoder import TextEncoderModule
from chex_jobs.models.weights import load_weights
from chex_jobs.objectives import batch_norm_group_size, build_objective
from chex_jobs.training.batch_norm import use_group_batch_norm
from chex_jobs.training.errors import InvalidRun
from chex_jobs.training.loop import batch_per_worker
from chex_jobs.training.process_group import WorkerRank
from chex_jobs.training.start_weights import StartWeights
from chex_jobs.training.training_run import TrainingRun


def assemble_objective(run: TrainingRun, world_size: int) -> nn.Module:
    """The objective with its first weights and its normalisation grouped, on CPU.

    Raises:
        InvalidRun: settings that do not fit each other, or the number of workers.
        WeightsError: start weights that are not those of the encoders.
    """
    image_encoder = build_image_encoder(run.encoders.image, run.seed)
    text_encoder = None
    if run.objective.settings.READS_REPORTS and run.encoders.text is not None:
        text_encoder = build_text_encoder(run.encoders.text, run.seed)
    _load_start(run.start, image_encoder, text_encoder)
    global_batch_size = run.optimization.global_batch_size
    group_size = batch_norm_group_size(
        run.objective, image_encoder, wanted=run.batch_norm_group_size, global_batch_size=global_batch_size
    )
    if group_size is not None:
        if batch_per_worker(global_batch_size, world_size) % group_size:
            raise InvalidRun(
                f"{world_size} workers do not share a global batch of {global_batch_size} in whole BatchNorm groups of "
                f"{group_size} films; choose another number of workers, or another batchNorm.groupSize"
            )
        use_group_batch_norm(image_encoder, group_size, run.freeze_batch_norm)
    try:
        return build_objective(
            run.objective,
            image_encoder,
            text_encoder,
            seed=run.seed,
            global_batch_size=global_batch_size,
            group_size=group_size,
            num_tasks=len(run.data.tasks),
        )
    except ValueError as error:
        raise InvalidRun(str(error)) from error


def assemble_batches(run: TrainingRun, worker: WorkerRank) -> BatchSource:
    """This worker's batches of the run.

    Raises:
        InvalidRun: no film is left to train on, or too few for the global batch or MoCo's queue.
        ArtifactError: the data set is missing or damaged.
    """
    dataset = ChestXrayDataset.open(run.data.dataset, run.data.labels)
    objective = run.objective.settings
    try:
        source = BatchSource(
            dataset,
            run.data.ordinals,
            size=run.encoders.image.size,
            global_batch_size=run.optimization.global_batch_size,
            seed=run.seed,
            augmentation=run.augmentation,
            views=objective.VIEWS,
            unit=dataset.unit,
            rank=worker.rank,
            world_size=worker.world_size,
            tasks=run.data.tasks if objective.NEEDS_TASKS else (),
            texts=_texts(run, dataset) if objective.READS_REPORTS else None,
        )
    except ValueError as error:
        raise InvalidRun(str(error)) from error
    _check_sizes(run, source)
    return source


def _check_sizes(run: TrainingRun, source: BatchSource) -> None:
    """The films that can be trained on may be fewer than preflight counted: some cannot be decoded, or have no text."""
    batch = run.optimization.global_batch_size
    units = max(source.num_units, batch) if run.repeats_films else source.num_units
    for fault in size_faults("the run", run.objective, batch, source.num_films, units):
        source.close()
        raise InvalidRun(str(fault))


def _texts(run: TrainingRun, dataset: ChestXrayDataset) -> TokenizedTexts:
    assert run.encoders.text is not None, "the objective was built with its text encoder"
    # Reports of films that are not trained on are dropped here: not even the numbering of texts may depend on them.
    reports: list[str | None] = [None] * len(dataset)
    every = dataset.reports()
    for ordinal in run.data.ordinals:
        reports[ordinal] = every[ordinal]
    texts = ReportTexts(reports, whole=run.objective.settings.shows_whole_reports(), studies=dataset.studies)
    return TokenizedTexts(texts, build_tokenizer(run.encoders.text), run.encoders.text.max_tokens)


def _load_start(
    start: StartWeights, image_encoder: ImageEncoderModule, text_encoder: TextEncoderModule | None
) -> None:
    if start.artifact is not None:
        artifact = start.artifact
        load_weights(
            image_encoder,
            artifact.read_safetensors(IMAGE_ENCODER, "torch"),
            where=f"{artifact.uri}/{IMAGE_ENCODER}",
        )
        if text_encoder is not None and TEXT_ENCODER in artifact.files:
            load_weights(
                text_encoder,
                artifact.read_safetensors(TEXT_ENCODER, "torch"),
                where=f"{artifact.uri}/{TEXT_ENCODER}",
            )
    elif start.folder_uri:
        load_image_encoder(image_encoder, start.folder_uri, start.folder_format)
