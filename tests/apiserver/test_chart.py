"""The chart at a real API server: what is rendered is accepted, and grants what the operator needs and nothing else."""

import asyncio
import copy
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chex_operator.kube.clock import SystemClock
from chex_operator.kube.election import Election
from chex_operator.kube.errors import Forbidden
from chex_operator.kube.resource import JOBS, LEASES, Object, Resource
from chex_operator.rendering import JobReference, supporting_objects
from tests.apiserver.chart_objects import (
    GROUPS,
    apply,
    apply_objects,
    operator_options,
    operator_token,
    path_of,
)
from tests.apiserver.control_plane import ApiClient, write_kubeconfig
from tests.apiserver.controller.operator_process import OperatorProcess
from tests.apiserver.kube.access import client_at, job
from tests.apiserver.ray_engine.launching import eventually
from tests.chart.permissions import IN_ONE_NAMESPACE, IN_THE_CLUSTER, LEASE, Permission
from tests.chart.pod_security import violations
from tests.chart.render import of_kind, render, the
from tests.chart.test_pod_security import FAULTS, FINE
from tests.chart.value_sets import VALUE_SETS
from tests.patience import PATIENCE_SECONDS
from tests.unit.chex_operator.rendering.attempts import attempt

ENFORCED = {"pod-security.kubernetes.io/enforce": "restricted"}
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
WRITE = {"create", "update", "patch", "delete", "deletecollection"}
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
        return allowed(self.server, self.user, permission, namespace, name)


def allowed(
    server: ApiClient, user: str, permission: Permission, namespace: str | None, name: str = ""
) -> bool:
    """What the API server's authorizer says of somebody."""
    group, resource, verb = permission
    resource, _, subresource = resource.partition("/")
    asked = {"group": group, "resource": resource, "subresource": subresource, "verb": verb, "name": name}
    answer = server.create(
        REVIEWS, {"spec": {"user": user, "resourceAttributes": {**asked, "namespace": namespace or ""}}}
    )
    assert answer.accepted, answer.message
    return bool(answer.body["status"]["allowed"])


def install(server: ApiClient, *, one_namespace: bool) -> Installed:
    """A release of its own name in a namespace of its own. Nothing removes it: it goes with the control plane."""
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
def for_the_cluster(cluster: ApiClient) -> Installed:
    return install(cluster, one_namespace=False)


@pytest.fixture(scope="module")
def for_one_namespace(cluster: ApiClient) -> Installed:
    return install(cluster, one_namespace=True)


@pytest.fixture(scope="module")
def restricted(cluster: ApiClient) -> str:
    """A namespace that enforces `restricted`."""
    name = f"restricted-{uuid.uuid4().hex[:8]}"
    answer = cluster.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": ENFORCED}})
    assert answer.accepted, answer.message
    for account in ("default", "chex-operator"):  # Pods are not admitted before their account is there
        path = f"/api/v1/namespaces/{name}/serviceaccounts"
        answer = cluster.create(path, {"metadata": {"name": account}})
        assert answer.accepted or answer.code == 409, answer.message  # the controllers make the first, too
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
    # An account of the values is not made here; the priority class that they name belongs to kube-system.
    spec = {**template["spec"], "priorityClassName": "", "serviceAccountName": "chex-operator"}
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
            await asyncio.wait_for(election.elected.wait(), PATIENCE_SECONDS)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(elect())


def test_a_replica_that_waits_is_ready_and_does_not_lead(controllers: ApiClient, tmp_path: Path) -> None:
    """All that it follows in the whole cluster it may list and watch; the Lease is somebody else's."""
    installed = install(controllers, one_namespace=False)
    namespace = installed.release_namespace
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": "another", "leaseDurationSeconds": 3600, "renewTime": now}
    lease = LEASES.path(namespace)
    assert controllers.create(lease, {"metadata": {"name": namespace}, "spec": spec}).accepted
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", controllers, installed.token)
    options = [*operator_options(installed.objects), f"--lease-namespace={namespace}"]
    with OperatorProcess(kubeconfig, tmp_path / "log", *options) as replica:
        eventually(lambda: replica.ask("/readyz")[0] == 200, "it does not become ready")
        assert replica.ask("/healthz") == (200, "ok")
        assert "chex_operator_is_leader 0.0" in replica.ask("/metrics")[1]
    assert "403" not in replica.text()


@pytest.mark.parametrize(("role", "verbs"), [("view", set()), ("edit", WRITE), ("admin", WRITE)])
def test_whoever_has_a_namespace_has_its_jobs(controllers: ApiClient, role: str, verbs: set[str]) -> None:
    """Kubernetes' own roles, as its controller aggregates ours into them."""
    installed = install(controllers, one_namespace=False)
    binding = {
        "metadata": {"name": "people"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "anna"}],
    }
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{installed.watched}/rolebindings"
    assert controllers.create(path, binding).accepted

    def may(verb: str, resource: str, namespace: str = installed.watched) -> bool:
        return allowed(controllers, "anna", ("chexdragon.dev", resource, verb), namespace)

    eventually(lambda: may("get", "chextrainingjobs"), "the roles are not aggregated")
    eventually(lambda: all(may(verb, "chextrainingjobs") for verb in verbs), "not all is aggregated")
    assert {verb for verb in WRITE if may(verb, "chextrainingjobs")} == verbs
    assert may("list", "chexruntimes")
    assert not any(may(verb, kind) for verb in WRITE for kind in ("chexruntimes", "clusterchexruntimes"))
    assert not may("patch", "chextrainingjobs/status")
    assert not may("get", "chextrainingjobs", installed.elsewhere)


def test_it_creates_what_an_attempt_needs_and_hands_on_no_more_than_it_has(
    for_one_namespace: Installed,
) -> None:
    """The Role of a driver is created by an identity that may not escalate."""
    installed = for_one_namespace
    # Without a job that owns them the garbage collector takes the objects while they are being applied.
    made = installed.server.create(JOBS.path(installed.watched), job(installed.watched, "tiny"))
    assert made.accepted, made.message
    owner = JobReference(installed.watched, "tiny", made.body["metadata"]["uid"], 1)
    wanted = attempt(job=owner)
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
