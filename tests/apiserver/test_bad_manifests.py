"""What people and attackers write: refused at apply time by a message that names the field, or soon after in words that help.

That `chex validate` refuses the same manifests is tested in `test_agreement`; here it is about the words, about what only the
operator can know, and about text that is meant to become something else on its way into a Pod.
"""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chex_api.loading import load_job, validate_job
from chex_api.plan import digest_keys, make_plan
from chex_operator.kube.resource import BATCH_JOBS, CONFIGMAPS, JOBS, PODS, RAYJOBS, ROLES, Object
from chex_operator.rendering import (
    Attempt,
    AttemptReference,
    JobReference,
    Preflight,
    WorkerGroup,
    preflight_job,
    preflight_support,
    ray_job,
    supporting_objects,
)
from chex_operator.rules.admission import Accepted, judge
from chex_operator.rules.frozen_plan import document_of, freeze, plan_objects
from chex_operator.rules.placement import pool_named
from tests.apiserver.control_plane import ApiClient
from tests.apiserver.controller.hospital_network import HospitalNetwork, hospital_network
from tests.apiserver.corpus import COMPLETE, CONFUSED_WITH, RULE_BREAKERS, Node, nodes
from tests.apiserver.ray_engine.driver_runs import look
from tests.apiserver.ray_engine.engine import Engine
from tests.apiserver.ray_engine.launching import eventually
from tests.unit.chex_operator.rendering.attempts import runtime

COLLECTION = JOBS.path("default")


# At apply time


def test_a_value_of_another_type_is_refused_by_the_name_of_its_field(cluster: ApiClient) -> None:
    silent: list[str] = []
    for node in nodes():
        value = CONFUSED_WITH[node.schema["type"]][0]
        answer = cluster.create(COLLECTION, node.replaced(value), dry_run=True)
        if answer.accepted or node.path not in answer.message:
            silent.append(f"{node.path}: {answer.message}")
    assert silent == []


@pytest.mark.parametrize(
    "manifest", [manifest for _, manifest in RULE_BREAKERS], ids=[words for words, _ in RULE_BREAKERS]
)
def test_a_broken_rule_is_told_at_its_place(cluster: ApiClient, manifest: Object) -> None:
    message = cluster.create(COLLECTION, manifest, dry_run=True).message
    assert " spec" in message, message


SMALL = """\
apiVersion: chexdragon.dev/v1alpha1
kind: ChexTrainingJob
metadata: {name: small}
spec:
  runtimeRef: {name: h200}
  artifacts: {uri: s3://models/small}
  datasets:
    - name: films
      source: {phantom: {patients: 60}}
      split: {patients: {validate: 0.1, test: 0.2}}
  pretraining:
    - name: ssl
      dataset: films
      objective: {moCo: {}}
      optimization: {epochs: 2}
"""
SLIPS = {
    "a misspelt field": ("artifacts:", "artefacts:", "spec.artefacts"),
    "a field at the wrong depth": ("      optimization: {epochs: 2}", "      epochs: 2", "spec.pretraining[0].epochs"),
    "a field written twice": ("      dataset: films", "      dataset: films\n      dataset: films", 'key "dataset" already set'),
    "a list written as an object": ("    - name: films\n      source", "      name: films\n      source", "spec.datasets"),
    "a number in quotes": ("patients: 60", 'patients: "60"', "spec.datasets[0].source.phantom.patients"),
    "a share in percent": ("validate: 0.1", "validate: 10%", "spec.datasets[0].split.patients.validate"),
    "a share above one": ("validate: 0.1", "validate: 10", "spec.datasets[0].split.patients.validate"),
    "a name with an underscore": ("name: ssl", "name: ssl_1", "spec.pretraining[0].name"),
    "a name in capitals": ("name: films", "name: Films", "spec.datasets[0].name"),
    "an objective in another case": ("{moCo: {}}", "{MoCo: {}}", "spec.pretraining[0].objective.MoCo"),
    "two objectives": ("{moCo: {}}", "{moCo: {}, simCLR: {}}", "spec.pretraining[0].objective"),
    "no objective": ("{moCo: {}}", "{}", "spec.pretraining[0].objective"),
    "nothing after a key": ("objective: {moCo: {}}", "objective:", "spec.pretraining[0].objective"),
    "another source's scheme": ("s3://models/small", "gs://models/small", "spec.artifacts.uri"),
    "a path as location": ("s3://models/small", "/models/small", "spec.artifacts.uri"),
    "a blank in a location": ("s3://models/small", "s3://models/my films", "spec.artifacts.uri"),
    "no artifacts": ("  artifacts: {uri: s3://models/small}\n", "", "spec.artifacts"),
    "a runtime of an unknown kind": ("{name: h200}", "{kind: Runtime, name: h200}", "spec.runtimeRef.kind"),
    "a runtime of another namespace": ("{name: h200}", "{name: h200, namespace: kube-system}", "spec.runtimeRef.namespace"),
    "a negative number": ("epochs: 2", "epochs: -2", "spec.pretraining[0].optimization.epochs"),
    "half an epoch": ("epochs: 2", "epochs: 1.5", "spec.pretraining[0].optimization.epochs"),
}  # fmt: skip
"""What is written instead of what, and what the refusal names."""


def test_the_manifest_before_any_slip_is_fine(cluster: ApiClient) -> None:
    answer = cluster.create(COLLECTION, SMALL, dry_run=True)
    assert answer.accepted, answer.message


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_of_the_pen_is_refused_by_the_name_of_its_field(cluster: ApiClient, slip: str) -> None:
    right, wrong, named = SLIPS[slip]
    assert SMALL.count(right) == 1
    answer = cluster.create(COLLECTION, SMALL.replace(right, wrong), dry_run=True)
    assert answer.code in (400, 422), answer.message
    assert named in answer.message


# Too much


def bomb() -> str:
    """Ten lines that unfold to a thousand million texts."""
    levels = [f"  x{level}: &x{level} [{', '.join([f'*x{level - 1}'] * 10)}]" for level in range(1, 10)]
    return "\n".join([SMALL, "  x0: &x0 [lol]", *levels, ""])


TOO_MUCH: dict[str, Callable[[], str]] = {
    "a megabyte of text": lambda: SMALL.replace("s3://models/small", "s3://models/" + "a" * 1_000_000),
    "more than the API server reads": lambda: SMALL.replace("s3://models/small", "s3://models/" + "a" * 4_000_000),
    "ten thousand data sets": lambda: SMALL.replace("pretraining:", "".join(f"    - {{name: d{n}, source: {{phantom: {{}}}}}}\n" for n in range(10_000)) + "  pretraining:"),
    "ten thousand levels": lambda: SMALL.replace("{moCo: {}}", "{a: " * 10_000 + "1" + "}" * 10_000),
    "a bomb of aliases": bomb,
}  # fmt: skip


@pytest.mark.parametrize("much", TOO_MUCH)
def test_too_much_is_refused_by_both_and_nobody_falls(cluster: ApiClient, much: str) -> None:
    """What grows with the power of its depth would outlast the time that a test may take."""
    text = TOO_MUCH[much]()
    assert load_job(text).job is None
    answer = cluster.create(COLLECTION, text, dry_run=True)
    assert answer.code in (400, 413, 422), f"{answer.code} {answer.message[:300]}"
    assert cluster.request("GET", "/readyz").code == 200


# What only the operator can know


@pytest.fixture(scope="module")
def network(
    controllers: ApiClient, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HospitalNetwork]:
    """One operator for all refusals."""
    with hospital_network(controllers, engine, tmp_path_factory.mktemp("refusals")) as found:
        yield found
        assert "Traceback" not in found.operator.text(), found.operator.text()[-6000:]


Change = Callable[[Object], None]


def sets(*path: str | int, to: Any) -> Change:
    """Put a value somewhere below `spec`."""

    def change(spec: Object) -> None:
        place: Any = spec
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return change


def without_runtime(spec: Object) -> None:
    del spec["runtimeRef"]


ELSEWHERE = {"manifest": {"uri": "s3://cardiology/stages/pretrain-ssl-0123456789ab", "sha256": "0" * 64}}
REFUSALS: dict[str, tuple[str, Change, list[str]]] = {
    "no runtime": ("NoRuntime", without_runtime, ["spec.runtimeRef is required", "kubectl get"]),
    "an unknown runtime": ("RuntimeNotFound", sets("runtimeRef", to={"kind": "ChexRuntime", "name": "h100"}), ["no ChexRuntime 'h100' in namespace"]),
    "a cluster's runtime": ("RuntimeNotFound", sets("runtimeRef", to={"name": "h200"}), ["no ClusterChexRuntime 'h200'", "serves one namespace"]),
    "a queue that is not offered": ("NotAllowedByRuntime", sets("runPolicy", to={"queueName": "mine"}), ["spec.runPolicy.queueName", "'mine'", "it offers: none"]),
    "a priority that is not offered": ("NotAllowedByRuntime", sets("runPolicy", to={"priorityClassName": "system-node-critical"}), ["spec.runPolicy.priorityClassName", "it offers: none"]),
    "artifacts of another namespace": ("NotAllowedByRuntime", sets("artifacts", "uri", to="s3://radiology-models/cardiology/tiny"), ["spec.artifacts.uri", "allowed: s3://radiology-models/"]),
    "artifacts beside the namespace's": ("NotAllowedByRuntime", sets("artifacts", "uri", to="s3://radiology-models/"), ["spec.artifacts.uri", "allowed: s3://radiology-models/"]),
    "artifacts on a disk": ("NotAllowedByRuntime", sets("artifacts", "uri", to="file:///models"), ["spec.artifacts.uri", "use s3://", "`chex run`"]),
    "a dot in artifacts": ("NotAllowedByRuntime", sets("artifacts", "uri", to="s3://radiology-models/./x"), ["spec.artifacts.uri", "must not hold"]),
    "data that may not be read": ("NotAllowedByRuntime", sets("datasets", 0, "source", to={"covidChestXray": {"uri": "s3://elsewhere/x"}}), ["spec.datasets[0].source: s3://elsewhere/x", "may not be read"]),
    "data on a disk": ("NotAllowedByRuntime", sets("datasets", 0, "source", to={"covidChestXray": {"uri": "file:///data"}}), ["spec.datasets[0].source", "cannot be read in a cluster"]),
    "first weights from elsewhere": ("NotAllowedByRuntime", sets("encoders", "image", "init", to={"uri": "s3://elsewhere/densenet"}), ["spec.encoders.image.init.uri"]),
    "weights from elsewhere": ("NotAllowedByRuntime", sets("hospitals", 0, "startFrom", to=[{"weights": {"uri": "s3://elsewhere/w"}}]), ["spec.hospitals[0].startFrom: s3://elsewhere/w"]),
    "another team's stage": ("NotAllowedByRuntime", sets("pretraining", 0, "startFrom", to=ELSEWHERE), ["spec.pretraining[0].startFrom.manifest.uri", "s3://cardiology"]),
    "an unknown pool": ("NotAllowedByRuntime", sets("pretraining", 0, "workers", to={"pool": "tpu", "count": 1}), ["spec.pretraining[0].workers.pool", "it has: gpu, cpu"]),
    "more machines than a pool has": ("NotAllowedByRuntime", sets("hospitals", 0, "workers", to={"pool": "gpu", "count": 65}), ["spec.hospitals[0].workers.count", "allows 64"]),
}  # fmt: skip
"""The reason, what is changed of a good manifest, and words of the message."""


def test_what_the_runtime_does_not_allow_is_told(network: HospitalNetwork) -> None:
    for number, (what, (reason, change, words)) in enumerate(REFUSALS.items()):
        name = f"refused-{number}"
        network.apply(name, change)
        valid = eventually(lambda name=name: network.condition("Valid", name), f"{what} is not judged")
        assert (valid["status"], valid["reason"]) == ("False", reason), what
        assert [word for word in words if word not in valid["message"]] == [], valid["message"]
        assert network.status(name)["phase"] == "Pending"
        network.delete(JOBS, name)


def test_a_refused_job_goes_on_once_it_is_mended(network: HospitalNetwork) -> None:
    network.apply("mended", sets("pretraining", 0, "workers", to={"pool": "tpu", "count": 1}))
    eventually(lambda: network.condition("Valid", "mended").get("status") == "False", "it is not refused")
    network.apply("mended")
    network.reaches("Complete", "mended")


def test_an_image_of_another_version_is_told_so(network: HospitalNetwork) -> None:
    network.plan(look(as_another_version=True), kind="preflight")
    network.apply("skewed")
    network.reaches("Failed", "skewed")
    network.plan(look(), kind="preflight")
    message = network.condition("Failed", "skewed")["message"]
    assert "of different versions; use the jobs image of the operator's release" in message
    assert not [each for each in network.ray_jobs() if "skewed" in each]


# Text that is meant to become something else


PAYLOADS = ("$(id)", "`id`", "\";id;'", "two\nlines", "../../x", "{{ x }}", "${HOME}", "🩻\u202e")
"""None of them is in the manifests, the runtime or the renderers otherwise."""
JOB = JobReference("radiology", "complete", "6a1f0c1e-7d7e-4c3e-9a53-0d8ad7f0f8b1", 1)
RUNTIME = runtime(
    scheduling={"queueNames": ["research"], "priorityClassNames": ["batch"]},
    storage={
        "credentials": {"serviceAccountName": "chex-jobs"},
        "readPrefixes": ["s3://radiology-data/", "s3://hannover/"],
        "writePrefixes": ["s3://radiology-models/"],
    },
)


def with_payload(node: Node, payload: str) -> str:
    """As much of the usual text as lets the payload pass for it."""
    if "uri" in node.steps[-1:]:
        return f"{node.value}/{payload}"
    return {"file": f"{payload}.csv", "path": f"{payload}{{}}.png"}.get(str(node.steps[-1]), payload)


def free_texts() -> list[Node]:
    return [node for node in nodes() if node.schema["type"] == "string" and "enum" not in node.schema]


def rendered(manifest: Object) -> list[Object] | None:
    """Everything that the operator would ever create for a manifest; None where it refuses to."""
    job = validate_job(manifest).job
    assert job is not None
    judgement = judge(job, RUNTIME, "5" * 64, JOB.namespace, lambda: job)
    if not isinstance(judgement, Accepted):
        return None
    policy = job.spec.run_policy
    plan = make_plan(job, dict.fromkeys(digest_keys(job.spec), "0" * 64))
    frozen = freeze(JOB, "5" * 64, plan, RUNTIME)
    preflight = Preflight(JOB, job.plain(), "5" * 64, 1, RUNTIME, policy)
    objects = [*preflight_support(preflight), preflight_job(preflight), *plan_objects(JOB, frozen, plan)]
    for stage, planned in zip(plan.stages, frozen.stages, strict=True):
        pool = pool_named(RUNTIME, planned.pool) if planned.pool else None
        reference = AttemptReference(JOB, stage.kind, stage.name, stage.identity, 1)
        workers = WorkerGroup(pool, 1) if pool else None
        attempt = Attempt(reference, document_of(stage), RUNTIME, policy, workers)
        objects += [*supporting_objects(attempt), ray_job(attempt)]
    return objects


def texts(value: Any) -> Iterator[str]:
    """Every text in plain data, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def found_in_data(objects: list[Object], text: str) -> bool:
    """Whether a ConfigMap holds this very text, in JSON."""
    documents = [each["data"] for each in objects if each["kind"] == "ConfigMap" and "data" in each]
    return any(text in texts(json.loads(entry)) for data in documents for entry in data.values())


def found_elsewhere(objects: list[Object], payload: str) -> list[str]:
    """Where the payload stands outside the data of ConfigMaps: names, labels, commands, variables."""
    bare = [{key: value for key, value in each.items() if key != "data"} for each in objects]
    return [text for each in bare for text in texts(each) if payload in text]


def test_text_is_refused_or_stays_the_text_that_it_is(cluster: ApiClient) -> None:
    wrong: list[str] = []
    passed = 0
    for node in free_texts():
        for payload in PAYLOADS:
            text = with_payload(node, payload)
            manifest = node.replaced(text)
            answer = cluster.create(COLLECTION, manifest, dry_run=True)
            if not answer.accepted:
                assert answer.code == 422, answer.message
                continue
            objects = rendered(manifest)
            if objects is None:
                continue
            passed += 1
            if not found_in_data(objects, text) or found_elsewhere(objects, payload):
                wrong.append(f"{node.path}: {payload!r}")
    assert wrong == []
    assert passed > 100  # else it is no test


def test_the_payloads_are_found_where_they_are() -> None:
    objects = rendered(COMPLETE)
    assert objects is not None
    assert not any(found_elsewhere(objects, payload) for payload in PAYLOADS)
    infected = copy.deepcopy(objects)
    infected[-1]["metadata"]["labels"]["x"] = "a$(id)"
    assert found_elsewhere(infected, "$(id)") == ["a$(id)"]


def test_hostile_text_reaches_the_driver_as_it_was_written(network: HospitalNetwork) -> None:
    hostile = "$(touch /tmp/x) `id` \"'; rm -rf / #\n{{ x }} ${HOME} ../.. ü"
    network.apply("hostile", sets("datasets", 1, "tasks", 0, "positive", to={"values": ["1", hostile]}))
    network.reaches("Complete", "hostile")
    selector = "app.kubernetes.io/instance=hostile"
    maps = network.list(CONFIGMAPS, selector)
    mounted = [each for each in maps if each["metadata"]["name"].endswith("-stage")]
    assert found_in_data([{"kind": "ConfigMap", **each} for each in mounted], hostile)
    others = [each for kind in (RAYJOBS, PODS, BATCH_JOBS, ROLES) for each in network.list(kind, selector)]
    assert {each["metadata"]["name"] for each in others} >= {
        each for each in network.ray_jobs() if "hostile" in each
    }
    assert found_elsewhere(others + maps, "touch") == []
