"""How an attempt ended, as observed on a real node with KubeRay 1.7 and reported by our own driver."""

import pytest

from chex_operator.rules.outcome import DriverReport, End, Outcome, PodProblem, RayJobState, outcome_of

EVICTED = PodProblem("Evicted", "worker 3 was evicted: node out of memory", disruption=True)
OUT_OF_MEMORY = PodProblem("OOMKilled", "Pod w ran out of memory; give its pool more")
NO_IMAGE = PodProblem("ErrImagePull", "the image cannot be pulled; check spec.image of the runtime")


def end_of(
    job_status: str,
    deployment_status: str,
    reason: str = "",
    *,
    report: DriverReport | None = None,
    problems: tuple[PodProblem, ...] = (),
) -> Outcome | None:
    return outcome_of(RayJobState(job_status, deployment_status, reason), report or DriverReport(), problems)


@pytest.mark.parametrize(
    ("job_status", "deployment_status"),
    [("", ""), ("", "Initializing"), ("PENDING", "Running"), ("RUNNING", "Running"), ("", "Suspended")],
)
def test_an_attempt_that_goes_on_has_no_outcome(job_status: str, deployment_status: str) -> None:
    assert end_of(job_status, deployment_status, problems=(NO_IMAGE, EVICTED)) is None


@pytest.mark.parametrize("deployment_status", ["Running", "Complete"])
def test_success_is_the_status_of_the_job_before_that_of_its_cluster(deployment_status: str) -> None:
    assert end_of("SUCCEEDED", deployment_status) == Outcome(End.SUCCEEDED, "Succeeded")


def test_a_stopped_ray_job_is_complete_and_no_success() -> None:
    ended = end_of("STOPPED", "Complete")
    assert ended is not None
    assert ended.end is End.STOPPED


def test_a_lost_head_fails_the_attempt_although_the_job_still_says_running() -> None:
    said = "Job submission has failed. Reason: BackoffLimitExceeded."
    ended = outcome_of(RayJobState("RUNNING", "Failed", "SubmissionFailed", said), DriverReport(), ())
    assert ended is not None
    assert (ended.end, ended.reason) == (End.FAILED, "SubmissionFailed")
    assert ended.message == f"the head was lost, or never took the entry point (KubeRay: {said})"


def test_an_eviction_is_a_disruption_and_no_failure() -> None:
    ended = end_of("FAILED", "Failed", "AppFailed", problems=(NO_IMAGE, EVICTED))
    assert ended == Outcome(End.DISRUPTED, "Evicted", EVICTED.message)


def test_a_fault_that_the_driver_found_in_its_input_counts_more_than_what_happened_to_its_pods() -> None:
    report = DriverReport(failure="ingest/north: t.csv has no column 'pleural'", user_error=True)
    ended = end_of("FAILED", "Failed", "AppFailed", report=report, problems=(EVICTED,))
    assert ended == Outcome(End.FAULTY, "StageFailed", report.failure)


def test_a_driver_that_only_misses_its_evicted_workers_was_disrupted() -> None:
    report = DriverReport(failure="pretrain/ssl: the workers failed and were not started again")
    ended = end_of("FAILED", "Failed", "AppFailed", report=report, problems=(EVICTED,))
    assert ended == Outcome(End.DISRUPTED, "Evicted", EVICTED.message)


def test_of_memory_that_ran_out_the_driver_knows_only_that_its_workers_are_gone() -> None:
    report = DriverReport(failure="pretrain/ssl: the workers failed and were not started again")
    ended = end_of("FAILED", "Failed", "AppFailed", report=report, problems=(NO_IMAGE, OUT_OF_MEMORY))
    said = f"{OUT_OF_MEMORY.message}; the driver says: {report.failure}"
    assert ended == Outcome(End.FAILED, "OOMKilled", said)
    silent = end_of("RUNNING", "Failed", "SubmissionFailed", problems=(NO_IMAGE, OUT_OF_MEMORY))
    assert silent == Outcome(End.FAILED, "OOMKilled", OUT_OF_MEMORY.message)


def test_a_driver_that_stopped_as_it_was_asked_has_stopped_whatever_ran_out_of_memory_then() -> None:
    ended = end_of(
        "FAILED", "Failed", "AppFailed", report=DriverReport(stopped=True), problems=(OUT_OF_MEMORY,)
    )
    assert ended == Outcome(End.STOPPED, "Stopped")


def test_a_driver_that_was_stopped_with_its_node_counts_as_disrupted() -> None:
    ended = end_of("FAILED", "Failed", "AppFailed", report=DriverReport(stopped=True), problems=(EVICTED,))
    assert ended is not None
    assert ended.end is End.DISRUPTED


def test_a_refused_ray_job_is_not_tried_again() -> None:
    ended = end_of("", "ValidationFailed")
    assert ended is not None
    assert ended.end is End.FAULTY


def test_a_pod_that_never_ran_says_why_in_place_of_the_deadline() -> None:
    ended = end_of("", "Failed", "PreRunningDeadlineExceeded", problems=(NO_IMAGE,))
    assert ended == Outcome(End.FAILED, "ErrImagePull", NO_IMAGE.message)


def test_the_end_of_a_drivers_output_is_not_repeated_to_everybody() -> None:
    tail = "Job entrypoint command failed with exit code 1, last available logs: KeyError: 'patient-7'"
    outcome = outcome_of(RayJobState("FAILED", "Failed", "AppFailed", tail), DriverReport(), [])
    assert outcome is not None
    assert "patient-7" not in outcome.message
    assert "its logs lie beside its artifacts" in outcome.message
