"""What is written of a status."""

from chex_api.status import Condition, JobStatus, StageStatus


def test_what_there_is_nothing_to_say_of_is_left_out_and_read_back_as_it_was() -> None:
    condition = Condition(
        type="Valid", status="True", last_transition_time="2026-01-01T00:00:00Z", reason="Accepted"
    )
    stage = StageStatus(name="pretrain/ssl", state="Waiting", identity="a")
    status = JobStatus(conditions=(condition,), stages=(stage,), progress="0%")
    told = status.told()
    assert told["stages"] == [{"name": "pretrain/ssl", "state": "Waiting", "identity": "a"}]
    assert told["phase"] == "Pending"
    assert told["conditions"][0]["message"] == ""
    assert set(told) == {"phase", "conditions", "stages", "progress"}
    assert JobStatus.parse(told) == status
