"""The chart at a real API server: what is rendered is accepted, and grants what the operator needs and nothing else."""

import asyncio
import copy
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from chex_operator.rendering import supporting_objects
from chex_operator.runtime.clock import SystemClock
from chex_operator.runtime.election import Election
from chex_operator.runtime.errors import Forbidden
from chex_operator.runtime.resource import Object, Resource
from tests.apiserver.chart_objects import GROUPS, apply, apply_objects, operator_token, path_of
from tests.apiserver.control_plane import ApiClient
from tests.apiserver.runtime.access import client_at
from tests.chart.permissions import IN_ONE_NAMESPACE, IN_THE_CLUSTER, LEASE, Permission
from tests.chart.pod_security import violations
from tests.chart.render import of_kind, render, the
from tests.chart.test_pod_security import FAULTS, FINE
from tests.chart.value_sets import VALUE_SETS
from tests.unit.chex_operator.rendering.attempts import JOB, attempt

ENFORCED = {"pod-security.kubernetes.io/enforce": "restricted"}
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
SECRETS = Resource("", "v1", "secrets", "Secret")
FORBIDDEN: tuple[Permission, ...] = (
    ("", "secrets", "get"),
    ("", "secrets", "list"),
    ("", "pods", "create"),
    ("", "pods", "delete"),
    ("", "pods/exec", "create"),
    ("", "serviceaccounts/token", "create"),
    ("", "namespaces", "list"),
    ("", "nodes", "list"),
    ("apps", "deployments", "update"),
    ("chexdragon.dev", "chextrainingjobs", "create"),
    ("chexdragon.dev", "chextrainingjobs", "delete"),
    ("chexdragon.dev", "chexruntimes", "patch"),
    ("ray.io", "rayjobs", "patch"),
    ("rbac.authorization.k8s.io", "roles", "escalate"),
    ("rbac.authorization.k8s.io", "clusterroles", "get"),
)


@dataclass(frozen=True)
class Installed:
    """A release, and namespaces around it."""

    server: ApiClient
    objects: list[Object]
    release_namespace: str
    watched: str
    elsewhere: str
    token: str

    @property
    def user(self) -> str:
        account = the(self.objects, "ServiceAccount")["metadata"]
        return f"system:serviceaccount:{account['namespace']}:{account['name']}"

    def may(self, permission: Permission, namespace: str | None, name: str = "") -> bool:
        """What the API server's authorizer says of the operator's account."""
        group, resource, verb = permission
        resource, _, subresource = resource.partition("/")
        asked = {"group": group, "resource": resource, "subresource": subresource, "verb": verb, "name": name}
        review = {"spec": {"user": self.user, "resourceAttributes": {**asked, "namespace": namespace or ""}}}
        answer = self.server.create(REVIEWS, review)
        assert answer.accepted, answer.message
        return bool(answer.body["status"]["allowed"])


def install(server: ApiClient, *, one_namespace: bool) -> Installed:
    """A release of its own name in a namespace of its own."""
    mark = uuid.uuid4().hex[:8]
    release, watched, elsewhere = f"chex-{mark}", f"watched-{mark}", f"elsewhere-{mark}"
    for namespace in (release, watched, elsewhere):
        answer = server.create("/api/v1/namespaces", {"metadata": {"name": namespace, "labels": ENFORCED}})
        assert answer.accepted, answer.message
    values = {"watchNamespace": watched} if one_namespace else {"crds": {"enabled": False}}
    objects = render({**values, "fullnameOverride": release}, release=release, namespace=release)
    apply_objects(server, objects)
    return Installed(server, objects, release, watched, elsewhere, operator_token(server, objects))


@pytest.fixture(scope="module")
def for_the_cluster(cluster: ApiClient) -> Iterator[Installed]:
    installed = install(cluster, one_namespace=False)
    yield installed
    for each in installed.objects:
        if each["metadata"].get("namespace") is None:  # the rest is in namespaces that nobody else uses
            cluster.request("DELETE", path_of(each))


@pytest.fixture(scope="module")
def for_one_namespace(cluster: ApiClient) -> Installed:
    return install(cluster, one_namespace=True)


@pytest.fixture(scope="module")
def restricted(cluster: ApiClient) -> str:
    """A namespace that enforces `restricted`."""
    name = f"restricted-{uuid.uuid4().hex[:8]}"
    answer = cluster.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": ENFORCED}})
    assert answer.accepted, answer.message
    return name


@pytest.mark.parametrize("values", VALUE_SETS)
def test_every_object_is_accepted(cluster: ApiClient, restricted: str, values: str) -> None:
    given = copy.deepcopy(VALUE_SETS[values])
    if given.get("watchNamespace"):
        given["watchNamespace"] = restricted
    objects = [each for each in render(given, namespace=restricted) if each["kind"] in GROUPS]
    refused = {
        path_of(each): answer.message
        for each in objects
        if not (answer := apply(cluster, each, dry_run=True)).accepted
    }
    assert refused == {}
    assert len(objects) >= 9


@pytest.mark.parametrize("values", VALUE_SETS)
def test_its_pods_are_admitted_where_restricted_is_enforced(
    cluster: ApiClient, restricted: str, values: str
) -> None:
    template = the(render(VALUE_SETS[values], namespace=restricted), "Deployment")["spec"]["template"]
    spec = {**template["spec"], "priorityClassName": ""}  # the one that is named belongs to kube-system
    answer = admit(cluster, restricted, spec)
    assert answer.accepted, answer.message


@pytest.mark.parametrize("fault", FAULTS)
def test_what_our_checker_refuses_is_refused_by_kubernetes(
    cluster: ApiClient, restricted: str, fault: str
) -> None:
    pod, (path, value) = copy.deepcopy(FINE), FAULTS[fault]
    pod["containers"][0]["image"] = "registry.example/x"
    assert admit(cluster, restricted, pod).accepted
    place: Any = pod
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    answer = admit(cluster, restricted, pod)
    assert violations(pod) == [fault]
    assert answer.code in (403, 422), answer.message  # some combinations are no valid Pod at all


def admit(cluster: ApiClient, namespace: str, spec: Object) -> Any:
    """What admission says of a Pod; nothing is stored."""
    body = {"metadata": {"name": "asked"}, "spec": spec}
    return cluster.create(f"/api/v1/namespaces/{namespace}/pods", body, dry_run=True)


def test_for_the_cluster_it_may_do_its_work_in_every_namespace(for_the_cluster: Installed) -> None:
    for namespace in (None, for_the_cluster.watched, for_the_cluster.elsewhere):
        missing = [each for each in IN_THE_CLUSTER if not for_the_cluster.may(each, namespace)]
        assert missing == []


def test_for_one_namespace_it_may_do_its_work_there_and_nothing_elsewhere(
    for_one_namespace: Installed,
) -> None:
    installed = for_one_namespace
    assert [each for each in IN_ONE_NAMESPACE if not installed.may(each, installed.watched)] == []
    for namespace in (None, installed.elsewhere, installed.release_namespace, "kube-system"):
        assert [each for each in IN_THE_CLUSTER if installed.may(each, namespace)] == []


@pytest.mark.parametrize("scope", ["for_the_cluster", "for_one_namespace"])
def test_it_may_do_nothing_else(scope: str, request: pytest.FixtureRequest) -> None:
    installed: Installed = request.getfixturevalue(scope)
    for namespace in (None, installed.watched, installed.release_namespace):
        assert [each for each in FORBIDDEN if installed.may(each, namespace)] == []


@pytest.mark.parametrize("scope", ["for_the_cluster", "for_one_namespace"])
def test_it_may_hold_its_own_lease_and_no_other(scope: str, request: pytest.FixtureRequest) -> None:
    installed: Installed = request.getfixturevalue(scope)
    own = installed.release_namespace
    assert all(installed.may(each, own, name=own) for each in LEASE)
    assert not installed.may(("coordination.k8s.io", "leases", "update"), own, name="kube-scheduler")
    assert not any(installed.may(each, installed.watched, name=own) for each in LEASE)


def test_it_is_elected_with_its_own_token(for_the_cluster: Installed) -> None:
    async def elect() -> None:
        async with client_at(for_the_cluster.server, token=for_the_cluster.token) as client:
            namespace = for_the_cluster.release_namespace
            election = Election(client, SystemClock(), namespace=namespace, name=namespace, identity="test")
            running = asyncio.create_task(election.run())
            await asyncio.wait_for(election.elected.wait(), 20)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(elect())


def test_it_creates_what_an_attempt_needs_and_hands_on_no_more_than_it_has(
    for_one_namespace: Installed,
) -> None:
    """The Role of a driver is created by an identity that may not escalate."""
    installed = for_one_namespace
    wanted = attempt(job=type(JOB)(installed.watched, JOB.name, JOB.uid, JOB.generation))
    with ApiClient(
        int(installed.server.url.rpartition(":")[2]), installed.server.certificate, installed.token
    ) as operator:
        for each in supporting_objects(wanted):
            answer = apply(operator, each)
            assert answer.accepted, f"{path_of(each)}: {answer.message}"
        (role,) = of_kind(list(supporting_objects(wanted)), "Role")
        role["rules"] = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
        answer = apply(operator, role)
        assert answer.code == 403
        assert "attempting to grant RBAC permissions not currently held" in answer.message


def test_it_cannot_read_a_secret(for_the_cluster: Installed) -> None:
    async def read() -> None:
        async with client_at(for_the_cluster.server, token=for_the_cluster.token) as client:
            await client.get(SECRETS, for_the_cluster.watched, "keys")

    with pytest.raises(Forbidden):
        asyncio.run(read())
