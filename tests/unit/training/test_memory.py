"""The memory estimate that the ZeRO stage is chosen by."""

from chex_jobs.training.memory import estimate


def test_stage_0_takes_sixteen_bytes_for_each_trained_parameter_whatever_the_workers() -> None:
    assert estimate(1000, 1000, 1).bytes_by_stage[0] == 16_000
    assert estimate(1000, 1000, 8).bytes_by_stage[0] == 16_000


def test_frozen_parameters_take_their_weight_only() -> None:
    assert estimate(1000, 0, 4).bytes_by_stage[0] == 4_000


def test_each_stage_takes_no_more_than_the_one_before_on_several_workers() -> None:
    by_stage = estimate(8_000_000, 8_000_000, 4).bytes_by_stage
    assert list(by_stage) == sorted(by_stage, reverse=True)


def test_stage_0_is_recommended_unless_states_exceed_half_of_the_device() -> None:
    dense_net = estimate(8_000_000, 8_000_000, 8)
    assert dense_net.recommended_stage(80 * 2**30) == 0
    large = estimate(7_000_000_000, 7_000_000_000, 8)
    assert large.recommended_stage(80 * 2**30) > 0


def test_description_names_the_stage_used_and_the_one_recommended() -> None:
    text = estimate(8_000_000, 8_000_000, 2).describe(3, 24 * 2**30)
    assert "stage 0 122 MiB" in text
    assert "ZeRO stage 3 is used, 0 is recommended" in text
