"""What a runtime lets a manifest do."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from chex_api.loading import validate_job
from chex_api.runtime import ClusterChexRuntime
from chex_operator.rules.admission import Accepted, Refused, judge
from tests.pipeline.manifest import tiny_job
from tests.unit.chex_operator.rendering.attempts import runtime

RUNTIME = runtime(scheduling={"queueNames": ["research"], "priorityClassNames": ["batch"]})


def judged(change: Any, uri: str = "s3://radiology-models/radiology/tiny") -> Accepted | Refused:
    plain = tiny_job(uri)
    change(plain["spec"])
    loaded = validate_job(plain)
    assert loaded.job is not None, loaded.faults
    job = loaded.job
    return judge(job, RUNTIME, "identity", "radiology", lambda: job)


def of_policy(**policy: Any) -> Any:
    return lambda spec: spec.update(runPolicy=policy)


@pytest.mark.parametrize("name", ["quickstart", "own-hospital", "real-films"])
def test_the_sample_jobs_are_accepted_on_the_sample_runtime(name: str) -> None:
    samples = Path(__file__).parents[4] / "infra" / "samples"
    sample = ClusterChexRuntime.parse(yaml.safe_load((samples / "runtime.yaml").read_text()))
    loaded = validate_job(yaml.safe_load((samples / f"{name}.yaml").read_text()))
    assert loaded.job is not None, loaded.faults
    job = loaded.job
    assert job.spec.runtime_ref is not None
    assert job.spec.runtime_ref.name == sample.metadata.name
    judgement = judge(job, sample.spec, "identity", job.metadata.namespace, lambda: job)
    assert isinstance(judgement, Accepted), judgement


def test_a_manifest_within_the_runtimes_limits_is_accepted() -> None:
    assert isinstance(judged(of_policy(queueName="research", priorityClassName="batch")), Accepted)


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"queueName": "production"}, ["spec.runPolicy.queueName", "'production'", "it offers: research"]),
        (
            {"priorityClassName": "system-node-critical"},
            ["spec.runPolicy.priorityClassName", "it offers: batch"],
        ),
    ],
)
def test_queues_and_priorities_are_those_that_the_runtime_offers(
    policy: dict[str, str], words: list[str]
) -> None:
    refused = judged(of_policy(**policy))
    assert isinstance(refused, Refused)
    assert refused.reason == "NotAllowedByRuntime"
    assert all(word in refused.message for word in words)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://radiology-models/cardiology/tiny",
        "s3://radiology-models/radiology-2/tiny",
        "s3://radiology-models/radiology/../cardiology/tiny",
        "s3://radiology-models/radiology/./tiny",
        "s3://elsewhere/radiology/tiny",
        "file:///radiology-models/radiology/tiny",
    ],
)
def test_artifacts_lie_within_the_prefixes_of_the_jobs_own_namespace(uri: str) -> None:
    plain = tiny_job("s3://radiology-models/radiology/tiny")
    loaded = validate_job(plain)
    assert loaded.job is not None
    artifacts = loaded.job.spec.artifacts.model_copy(update={"uri": uri})
    spec = loaded.job.spec.model_copy(update={"artifacts": artifacts})
    job = loaded.job.model_copy(update={"spec": spec})
    refused = judge(job, RUNTIME, "identity", "radiology", lambda: job)
    assert isinstance(refused, Refused)
    assert "spec.artifacts.uri" in refused.message
    assert uri in refused.message


def test_a_prefix_may_be_the_folder_itself() -> None:
    assert isinstance(judged(of_policy(), "s3://radiology-models/radiology"), Accepted)


def test_what_is_read_lies_within_the_prefixes_that_may_be_read() -> None:
    def foreign_weights(spec: dict[str, Any]) -> None:
        spec["encoders"]["image"]["init"] = {"uri": "s3://somebody/weights"}

    refused = judged(foreign_weights)
    assert isinstance(refused, Refused)
    assert "spec.encoders.image.init.uri: s3://somebody/weights may not be read" in refused.message


def test_the_stage_of_another_job_is_read_within_the_prefixes_too() -> None:
    def foreign_stage(spec: dict[str, Any]) -> None:
        spec["hospitals"][0]["startFrom"] = [{"manifest": {"uri": "s3://somebody/stage", "sha256": "0" * 64}}]

    refused = judged(foreign_stage)
    assert isinstance(refused, Refused)
    assert "spec.hospitals[0].startFrom[0].manifest.uri" in refused.message


def test_pools_and_their_sizes_are_those_of_the_runtime() -> None:
    def too_much(spec: dict[str, Any]) -> None:
        spec["pretraining"][0]["workers"] = {"pool": "gpu", "count": 128}
        spec["pretraining"][0]["optimization"]["globalBatchSize"] = 1024
        spec["pretraining"][0]["objective"]["moCo"]["queueSize"] = 1024
        spec["hospitals"][0]["workers"] = {"pool": "tpu", "count": 1}

    refused = judged(too_much)
    assert isinstance(refused, Refused)
    assert "spec.pretraining[0].workers.count: 128 are asked for, and pool 'gpu' allows 64" in refused.message
    assert "no pool 'tpu'; it has: gpu, cpu" in refused.message


def test_many_faults_are_counted_and_not_all_listed() -> None:
    def many(spec: dict[str, Any]) -> None:
        spec["hospitals"] = [
            {**spec["hospitals"][0], "name": f"h{n}", "workers": {"pool": "tpu"}} for n in range(12)
        ]

    refused = judged(many)
    assert isinstance(refused, Refused)
    assert refused.message.endswith("; and 4 more")
