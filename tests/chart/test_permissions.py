"""Who may do what: the operator, and the users of its kinds."""

from chex_operator.kube.resource import Object
from tests.chart.permissions import IN_ONE_NAMESPACE, IN_THE_CLUSTER, LEASE, granted
from tests.chart.render import NAMESPACE, of_kind, render, the

AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"


def election_role(objects: list[Object]) -> Object:
    (found,) = (
        each for each in of_kind(objects, "Role") if each["metadata"]["name"].endswith("-leader-election")
    )
    return found


def operator_role(objects: list[Object], kind: str) -> Object:
    (found,) = (each for each in of_kind(objects, kind) if each["metadata"]["name"] == "chex-operator")
    return found


def test_in_the_cluster_the_operator_has_exactly_what_it_needs() -> None:
    role = operator_role(render(), "ClusterRole")
    assert sorted(granted(role)) == sorted(IN_THE_CLUSTER)


def test_in_one_namespace_it_has_a_role_there_without_cluster_runtimes() -> None:
    role = operator_role(render({"watchNamespace": "radiology"}), "Role")
    assert role["metadata"]["namespace"] == "radiology"
    assert sorted(granted(role)) == sorted(IN_ONE_NAMESPACE)


def test_the_lease_is_the_one_that_the_operator_is_given() -> None:
    objects = render({"fullnameOverride": "training"})
    role = election_role(objects)
    (container,) = the(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert role["metadata"]["namespace"] == NAMESPACE
    assert sorted(granted(role)) == sorted(LEASE)
    assert [rule.get("resourceNames") for rule in role["rules"]] == [None, ["training"]]
    assert "--lease-name=training" in container["args"]


def test_whoever_has_a_namespace_gets_its_jobs_and_reads_runtimes() -> None:
    roles = {
        each["metadata"]["name"].removeprefix("chex-operator-"): each
        for each in of_kind(render(), "ClusterRole")
    }
    shown = {
        name: (
            sorted(
                key.removeprefix(AGGREGATE) for key in role["metadata"]["labels"] if key.startswith(AGGREGATE)
            ),
            sorted({resource for rule in role["rules"] for resource in rule["resources"]}),
            sorted({verb for rule in role["rules"] for verb in rule["verbs"]}),
        )
        for name, role in roles.items()
        if name != "chex-operator"
    }
    assert shown == {
        "jobs-view": (["view"], ["chextrainingjobs", "chextrainingjobs/status"], ["get", "list", "watch"]),
        "jobs-edit": (
            ["admin", "edit"],
            ["chextrainingjobs"],
            ["create", "delete", "deletecollection", "patch", "update"],
        ),
        "runtimes-view": (["view"], ["chexruntimes", "clusterchexruntimes"], ["get", "list", "watch"]),
    }


def test_aggregated_roles_can_be_left_out() -> None:
    roles = of_kind(render({"aggregatedRoles": {"enabled": False}}), "ClusterRole")
    assert [each["metadata"]["name"] for each in roles] == ["chex-operator"]


def test_only_the_operators_pods_mount_the_token() -> None:
    objects = render()
    assert the(objects, "ServiceAccount")["automountServiceAccountToken"] is False
    assert the(objects, "Deployment")["spec"]["template"]["spec"]["automountServiceAccountToken"] is True
    assert the(objects, "Pod")["spec"]["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in the(objects, "Pod")["spec"]


def test_an_account_that_exists_is_bound_and_not_created() -> None:
    objects = render({"serviceAccount": {"create": False, "name": "given"}})
    assert of_kind(objects, "ServiceAccount") == []
    assert the(objects, "ClusterRoleBinding")["subjects"][0]["name"] == "given"
