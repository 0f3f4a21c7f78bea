from pathlib import Path

from chex_jobs.executor.pod_files import mounted, service_account
from chex_jobs.executor.progress_config_map import ApiServer


def test_a_pod_finds_its_files_where_the_operator_and_the_kubelet_put_them() -> None:
    assert mounted({}) == Path("/etc/chex")
    assert service_account({}) == Path("/var/run/secrets/kubernetes.io/serviceaccount")


def test_outside_a_pod_the_environment_says_where_they_are() -> None:
    environment = {"CHEX_MOUNTED_FOLDER": "/a", "CHEX_SERVICE_ACCOUNT_FOLDER": "/b"}
    assert mounted(environment) == Path("/a")
    server = ApiServer.of_this_pod(
        environment | {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    )
    assert (server.url, server.token_file) == ("https://[fd00::1]:443", Path("/b/token"))
