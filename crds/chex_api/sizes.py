"""What a pretraining asks of the number of films that it is given. Pure: preflight and the training itself ask alike."""

from collections.abc import Iterator

from chex_api.faults import Fault
from chex_api.objective import AnyObjective


def size_faults(path: str, objective: AnyObjective, batch: int, films: int, units: int) -> Iterator[Fault]:
    """A batch holds no film twice, and a queue of keys no more than there are films.

    Args:
        path: of the run, `spec.pretraining[0]`.
        objective: what it learns.
        batch: `optimization.globalBatchSize`.
        films: training films that take part.
        units: films, studies or patients that one film each is drawn of in an epoch.
    """
    if batch > units:
        yield Fault(
            f"{path}.optimization.globalBatchSize",
            f"{batch} is more than the {units} that an epoch has to fill it (one film of each training film, study or "
            "patient, as the data set's `unit` says); films would stand in a batch twice. Lower it"
            + (
                f" to {units} at most"
                if units
                else ", or look at the split and the views: there is no training film"
            ),
        )
        return
    yield from objective.settings.size_faults(f"{path}.objective.{objective.name}", batch, films)
