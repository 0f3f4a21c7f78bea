"""A whole job's life at an operator to which things happen; and what must be true of it whatever happens.

An operator reaches the API server through a proxy, which is where things happen to it (`ordeals`). Drivers, KubeRay's stand-in
and the tests themselves go straight there. The stories are what people do with a job.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from chex_operator.kube.resource import (
    BATCH_JOBS,
    CONFIGMAPS,
    JOBS,
    LEASES,
    NETWORKPOLICIES,
    PODS,
    RAYCLUSTERS,
    RAYJOBS,
    ROLEBINDINGS,
    ROLES,
    Object,
    Resource,
)
from tests.apiserver.control_plane import ApiClient
from tests.apiserver.controller.chronicle import Chronicle
from tests.apiserver.controller.forked_operator import ForkedOperator
from tests.apiserver.controller.hospital_network import MERGE_PATCH, HospitalNetwork, hospital_network
from tests.apiserver.controller.operator_process import OperatorProcess
from tests.apiserver.controller.recorder import contradictions, two_at_once
from tests.apiserver.fault_proxy import FaultProxy, fault_proxy
from tests.apiserver.ray_engine.engine import Engine
from tests.apiserver.ray_engine.launching import eventually
from tests.patience import PATIENCE_SECONDS

TENDED_SECONDS = 0.1
OUR_LABEL = "chexdragon.dev/job-uid"
OF_A_JOB = (CONFIGMAPS, ROLES, ROLEBINDINGS, NETWORKPOLICIES)
"""Kinds of which the chart, or Kubernetes, has some in every namespace; what a job has of them bears `OUR_LABEL`."""
TOLD = ("name", "state", "attempt", "failures", "manifestURI", "manifestSha256")
Found = TypeVar("Found")
Given = ParamSpec("Given")


def _while_it_goes_on(
    method: Callable[Concatenate[Life, Given], None],
) -> Callable[Concatenate[Life, Given], None]:
    """One thread at a time, and without effect once the life is over."""

    @wraps(method)
    def guarded(self: Life, *args: Given.args, **kwargs: Given.kwargs) -> None:
        with self._one_at_a_time:
            if not self._over.is_set():
                method(self, *args, **kwargs)

    return guarded


@dataclass
class Life:
    """One job in a namespace of its own, from its manifest to its end.

    Attributes:
        standings: Where the job stood whenever its story came to rest.
        log: What happened to its operators.
    """

    network: HospitalNetwork
    proxy: FaultProxy
    chronicle: Chronicle
    standings: list[Object] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server = self.network.server.again()
        self._replicas: list[OperatorProcess] = [self.network.operator]
        self._lease = LEASES.path(self.network.namespace, self.network.operator.option("--lease-name"))
        self._frozen: OperatorProcess | None = None
        self._one_at_a_time = threading.RLock()
        self._over = threading.Event()

    def begin(self) -> None:
        """Start the operator, and start it again whenever it has ended, as a Deployment does."""
        self.network.operator.start()
        threading.Thread(target=self._deploy, name="deployment", daemon=True).start()

    def end(self) -> None:
        """End every replica; nothing happens to them any more."""
        self._over.set()
        with self._one_at_a_time:
            for replica in self._replicas:
                replica.kill()
            self._server.close()

    def _deploy(self) -> None:
        while not self._over.wait(TENDED_SECONDS):
            self._tend()

    # What its story does.

    @property
    def job(self) -> Object | None:
        return self.chronicle.latest(self.network.namespace, JOBS, "tiny")

    @property
    def status(self) -> Object:
        return (self.job or {}).get("status") or {}

    def reaches(self, phase: str) -> None:
        """Wait for a phase, and keep where the job stands then."""
        self.until(lambda: self.status.get("phase") == phase, f"the job is not {phase}")
        self.standings.append(_standing(self.status, self.network.namespace))

    def comes_to(self, stage: str, *, state: str = "Running", reason: str = "") -> None:
        """Wait until a stage is in this state, for this reason."""

        def look() -> bool:
            stages = {each["name"]: each for each in self.status.get("stages") or []}
            told = stages.get(stage) or {}
            return told.get("state") == state and reason in ("", told.get("reason"))

        self.until(look, f"{stage} is not {state} {reason}")

    def leaves_nothing(self, otherwise: str = "something of the job is left") -> None:
        """Wait until there is nothing of the job but itself."""
        try:
            eventually(lambda: not self._remains(), otherwise, seconds=PATIENCE_SECONDS, pause=0.2)
        except AssertionError as left:
            raise AssertionError(f"{left}: {self._remains()}\n{self.told()}") from None

    def ends(self) -> None:
        """Delete the job, and wait until there is nothing of it any more."""
        self.network.delete(JOBS, "tiny")
        self.until(lambda: self.job is None, "the job is still there")
        self.leaves_nothing()

    def until(self, look: Callable[[], Found | None], otherwise: str) -> Found:
        """What `look` finds once it finds something."""
        found = self.chronicle.wait(look, seconds=PATIENCE_SECONDS)
        assert found, f"{otherwise}\n{self.told()}"
        return found

    def _remains(self) -> list[str]:
        kinds: dict[Resource, str] = dict.fromkeys(OF_A_JOB, OUR_LABEL)
        kinds |= dict.fromkeys((RAYJOBS, RAYCLUSTERS, BATCH_JOBS, PODS), "")
        return [
            f"{kind.kind} {item['metadata']['name']}"
            for kind, selector in kinds.items()
            for item in self.network.list(kind, selector)
        ]

    def told(self) -> str:
        """What one wants to read when it went wrong."""
        logs = "\n".join(f"{each.log.name}:\n{each.text()[-6000:]}" for each in self._replicas)
        return "\n".join([*self.log, json.dumps(self.status, indent=1)[:8000], logs])

    def logged(self) -> list[Object]:
        """Every line of every replica's log, those of processes that were killed in mid-line left out."""
        found: list[Object] = []
        for line in "\n".join(each.text() for each in self._replicas).splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    # What happens to its operators. Any thread.

    @_while_it_goes_on
    def crash(self, why: str = "", *, frees_lease: bool = True) -> None:
        """SIGKILL for the replica that leads, which is started again at once; nobody need wait until the Lease expires."""
        leader = self._leader()
        self.log.append(f"{leader.name} is killed {why}")
        leader.kill()
        if frees_lease:
            self.free_lease()
        leader.start()

    @_while_it_goes_on
    def free_lease(self) -> None:
        """Take the Lease away from whoever holds it."""
        answer = self._server.request("DELETE", self._lease)
        assert answer.code in (200, 404), answer.message

    @_while_it_goes_on
    def give_lease_away(self) -> None:
        """Let the Lease be somebody's who never renews it."""
        taken = {"spec": {"holderIdentity": "rival", "leaseDurationSeconds": 15}}
        answer = self._server.request("PATCH", self._lease, json.dumps(taken), MERGE_PATCH)
        assert answer.accepted, answer.message
        self.log.append("the Lease is a rival's")

    @_while_it_goes_on
    def scale_up(self) -> None:
        """Start one more replica."""
        self._replicas.append(self.network.another())
        self._replicas[-1].start()

    @_while_it_goes_on
    def freeze(self) -> None:
        """Let the replica that leads stand still."""
        self._frozen = self._leader()
        self._frozen.freeze()
        self.log.append(f"{self._frozen.name} stands still")

    @_while_it_goes_on
    def thaw(self) -> None:
        """Let it go on where it stood."""
        assert self._frozen is not None
        self._frozen.thaw()
        self.log.append(f"{self._frozen.name} goes on")

    def later(self, seconds: float, do: Callable[[], object]) -> None:
        """Do something after so many seconds, if the life goes on then."""

        def if_living() -> None:
            with self._one_at_a_time:
                if not self._over.is_set():
                    do()

        timer = threading.Timer(seconds, if_living)
        timer.daemon = True
        timer.start()

    @_while_it_goes_on
    def _tend(self) -> None:
        for replica in self._replicas:
            if replica.ended:
                self.log.append(f"{replica.name} ended with {replica.wait()}, and is started again")
                replica.start()

    def _leader(self) -> OperatorProcess:
        """The replica that holds the Lease; the first where none does."""
        lease = self._server.request("GET", self._lease).body
        holder = str(lease.get("spec", {}).get("holderIdentity", ""))
        return next(
            (each for each in self._replicas if holder.startswith(f"{each.name}-")), self._replicas[0]
        )


@contextmanager
def life(server: ApiClient, engine: Engine, chronicle: Chronicle, folder: Path) -> Iterator[Life]:
    """A life that has not begun; whatever happens in it ends with the block."""
    with (
        fault_proxy(server) as proxy,
        server.again() as own,
        hospital_network(
            own, engine, folder, address=proxy.url, process=ForkedOperator, started=False
        ) as network,
    ):
        lived = Life(network, proxy, chronicle)
        try:
            yield lived
        finally:
            lived.end()


@dataclass(frozen=True)
class Record:
    """What is left of a life that must be the same however its operators fared.

    Attributes:
        standings: Where the job stood whenever its story came to rest.
        attempts: How often the run of each attempt was created; by stage and number.
        starts: How often its driver was started.
    """

    standings: list[Object]
    attempts: Counter[str]
    starts: Counter[str]


def record_of(lived: Life) -> Record:
    """Of a life that has come to its end."""
    network, kept = lived.network, lived.chronicle
    runs = kept.events(network.namespace, RAYJOBS) + kept.events(network.namespace, BATCH_JOBS)
    created = [_attempt(each.object) for each in runs if each.type == "ADDED"]
    started = [run for run in network.engine.started if run.namespace == network.namespace]
    return Record(
        standings=lived.standings,
        attempts=Counter(attempt for attempt in created if attempt is not None),
        starts=Counter(f"{run.kind}/{run.stage} {run.number}" for run in started),
    )


def faults_of(lived: Life) -> list[str]:
    """What must not be in any life."""
    kept, namespace = lived.chronicle, lived.network.namespace
    return [
        *contradictions([event.object for event in kept.events(namespace, JOBS)]),
        *two_at_once(kept.events(namespace, RAYJOBS), _ray_job_has_ended),
        *two_at_once(kept.events(namespace, PODS), _pod_has_ended),
        *(f"logged: {line}" for line in _unforeseen(lived)),
    ]


def _ray_job_has_ended(item: Object) -> bool:
    status = item.get("status") or {}
    return status.get("jobDeploymentStatus") in ("Complete", "Failed", "ValidationFailed")


def _pod_has_ended(item: Object) -> bool:
    return (item.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _attempt(run: Object) -> str | None:
    """Of a RayJob or of a preflight's Job; the submitter's Job, which KubeRay makes, is no attempt of its own."""
    owners = [each["kind"] for each in run["metadata"].get("ownerReferences") or []]
    labels = run["metadata"].get("labels") or {}
    if owners != [JOBS.kind]:
        return None
    return f"{labels['app.kubernetes.io/component']}/{labels['chexdragon.dev/stage']} {labels['chexdragon.dev/attempt']}"


def _standing(status: Object, namespace: str) -> Object:
    """Of a status what every undisturbed life tells too: no moments, no names that hold the job's uid."""
    stages = [{key: stage.get(key) for key in TOLD} for stage in status["stages"]]
    conditions = {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}
    told = {key: status.get(key) for key in ("phase", "progress", "stage", "best", "hospitals", "reportURI")}
    plain = json.dumps({**told, "stages": stages, "conditions": conditions})
    return json.loads(plain.replace(namespace, "NAMESPACE"))


def _unforeseen(lived: Life) -> Iterator[str]:
    """Exceptions that replicas have logged: what an API server has caused is told in a line."""
    for line in lived.logged():
        if "exception" in line and "NotLeading" not in line["exception"]:
            yield line["exception"]
