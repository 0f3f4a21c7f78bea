"""When a stage is tried again, and when no more."""

from hypothesis import given
from hypothesis import strategies as st

from chex_api.run_policy import RunPolicy
from chex_operator.rules.outcome import End, Outcome
from chex_operator.rules.retry import GiveUp, History, Retry, after, wait_seconds

POLICY = RunPolicy(backoff_limit=3, max_disruptions=2)
FAILED = Outcome(End.FAILED, "AppFailed", "out of memory")
DISRUPTED = Outcome(End.DISRUPTED, "Evicted", "its node went away")
NOW = 1_000.0


def test_failures_without_progress_end_the_stage_after_the_limit() -> None:
    history = History()
    for _ in range(POLICY.backoff_limit):
        answer = after(history, FAILED, POLICY, progressed=False, now=NOW)
        assert isinstance(answer, Retry)
        history = answer.history
    last = after(history, FAILED, POLICY, progressed=False, now=NOW)
    assert isinstance(last, GiveUp)
    assert last.reason == "BackoffLimitExceeded"
    assert "out of memory" in last.message
    assert "runPolicy.backoffLimit allows 3" in last.message


def test_progress_sets_the_count_back() -> None:
    history = History(failures=3)
    answer = after(history, FAILED, POLICY, progressed=True, now=NOW)
    assert isinstance(answer, Retry)
    assert answer.history.failures == 1


def test_disruptions_do_not_count_as_failures() -> None:
    answer = after(History(failures=3), DISRUPTED, POLICY, progressed=False, now=NOW)
    assert isinstance(answer, Retry)
    assert (answer.history.failures, answer.history.disruptions) == (3, 1)


def test_too_many_disruptions_end_the_stage_in_words_of_their_own() -> None:
    answer = after(History(disruptions=2), DISRUPTED, POLICY, progressed=True, now=NOW)
    assert isinstance(answer, GiveUp)
    assert answer.reason == "TooManyDisruptions"


def test_a_fault_of_the_manifest_is_never_retried() -> None:
    faulty = Outcome(End.FAULTY, "StageFailed", "no column 'pleural'")
    answer = after(History(), faulty, RunPolicy(backoff_limit=100), progressed=True, now=NOW)
    assert answer == GiveUp(History(), "StageFailed", "no column 'pleural'")


def test_a_stop_that_was_asked_for_costs_nothing() -> None:
    answer = after(History(failures=2), Outcome(End.STOPPED, "Stopped"), POLICY, progressed=True, now=NOW)
    assert answer == Retry(History(failures=0, not_before=NOW))


def test_waits_double_up_to_ten_minutes() -> None:
    assert [wait_seconds(n) for n in (1, 2, 3, 7, 1000)] == [10.0, 20.0, 40.0, 600.0, 600.0]


@given(
    ends=st.lists(st.tuples(st.sampled_from([FAILED, DISRUPTED]), st.booleans()), max_size=60),
    backoff=st.integers(0, 5),
    disruptions=st.integers(0, 5),
)
def test_every_history_ends_within_its_limits(
    ends: list[tuple[Outcome, bool]], backoff: int, disruptions: int
) -> None:
    policy, history = RunPolicy(backoff_limit=backoff, max_disruptions=disruptions), History()
    in_a_row = 0
    for outcome, progressed in ends:
        answer = after(history, outcome, policy, progressed=progressed, now=NOW)
        history = answer.history
        if outcome is FAILED:
            in_a_row = 1 if progressed else in_a_row + 1
        gave_up = in_a_row > backoff or history.disruptions > disruptions
        assert isinstance(answer, GiveUp) == gave_up
        if gave_up:
            return
        assert history.not_before > NOW
