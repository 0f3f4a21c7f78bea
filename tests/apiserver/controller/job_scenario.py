"""A job from its manifest to its end, at an operator to which things happen; and what must be true whatever happens.

An operator reaches the API server through a proxy, which is where things happen to it (`fault_scenarios`). Drivers, KubeRay's stand-in
and the tests themselves go straight there. `user_scenarios` are what people do with a job.
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
from tests.apiserver.controller.forked_operator import ForkedOperator
from tests.apiserver.controller.hospital_network import MERGE_PATCH, HospitalNetwork, hospital_network
from tests.apiserver.controller.operator_process import OperatorProcess
from tests.apiserver.controller.recorder import contradictions, two_at_once
from tests.apiserver.controller.status_history import StatusHistory
from tests.apiserver.fault_proxy import FaultProxy, fault_proxy
from tests.apiserver.ray_engine.engine import Engine
from tests.apiserver.ray_engine.launching import eventually
from tests.patience import PATIENCE_SECONDS

TENDED_SECONDS = 0.1
OUR_LABEL = "chexdragon.dev/job-uid"
OF_A_JOB = (CONFIGMAPS, ROLES, ROLEBINDINGS, NETWORKPOLICIES)
"""Kinds of which the chart, or Kubernetes, has some in every namespace; what a job has of them bears `OUR_LABEL`."""
COMPARED = ("name", "state", "attempt", "failures", "manifestURI", "manifestSha256")
Found = TypeVar("Found")
Given = ParamSpec("Given")


def _until_it_ends(
    method: Callable[Concatenate[JobScenario, Given], None],
) -> Callable[Concatenate[JobScenario, Given], None]:
    """One thread at a time, and without effect once the scenario is over."""

    @wraps(method)
    def guarded(self: JobScenario, *args: Given.args, **kwargs: Given.kwargs) -> None:
        with self._one_at_a_time:
            if not self._over.is_set():
                method(self, *args, **kwargs)

    return guarded


@dataclass
class JobScenario:
    """One job in a namespace of its own, from its manifest to its end.

    Attributes:
        resting_states: The job's state whenever its user scenario came to rest.
        log: What happened to its operators.
    """

    network: HospitalNetwork
    proxy: FaultProxy
    history: StatusHistory
    resting_states: list[Object] = field(default_factory=list)
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

    # What its user scenario does.

    @property
    def job(self) -> Object | None:
        return self.history.latest(self.network.namespace, JOBS, "tiny")

    @property
    def status(self) -> Object:
        return (self.job or {}).get("status") or {}

    def reaches(self, phase: str) -> None:
        """Wait for a phase, and keep where the job stands then."""
        self.until(lambda: self.status.get("phase") == phase, f"the job is not {phase}")
        self.resting_states.append(_resting_state(self.status, self.network.namespace))

    def comes_to(self, stage: str, *, state: str = "Running", reason: str = "") -> None:
        """Wait until a stage is in this state, for this reason."""

        def look() -> bool:
            stages = {each["name"]: each for each in self.status.get("stages") or []}
            found = stages.get(stage) or {}
            return found.get("state") == state and reason in ("", found.get("reason"))

        self.until(look, f"{stage} is not {state} {reason}")

    def leaves_nothing(self, otherwise: str = "something of the job is left") -> None:
        """Wait until there is nothing of the job but itself."""
        try:
            eventually(lambda: not self._remains(), otherwise, seconds=PATIENCE_SECONDS, pause=0.2)
        except AssertionError as left:
            raise AssertionError(f"{left}: {self._remains()}\n{self.explanation()}") from None

    def ends(self) -> None:
        """Delete the job, and wait until there is nothing of it any more."""
        self.network.delete(JOBS, "tiny")
        self.until(lambda: self.job is None, "the job is still there")
        self.leaves_nothing()

    def until(self, look: Callable[[], Found | None], otherwise: str) -> Found:
        """What `look` finds once it finds something."""
        found = self.history.wait(look, seconds=PATIENCE_SECONDS)
        assert found, f"{otherwise}\n{self.explanation()}"
        return found

    def _remains(self) -> list[str]:
        kinds: dict[Resource, str] = dict.fromkeys(OF_A_JOB, OUR_LABEL)
        kinds |= dict.fromkeys((RAYJOBS, RAYCLUSTERS, BATCH_JOBS, PODS), "")
        return [
            f"{kind.kind} {item['metadata']['name']}"
            for kind, selector in kinds.items()
            for item in self.network.list(kind, selector)
        ]

    def explanation(self) -> str:
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

    @_until_it_ends
    def crash(self, why: str = "", *, frees_lease: bool = True) -> None:
        """SIGKILL for the replica that leads, which is started again at once; nobody need wait until the Lease expires."""
        leader = self._leader()
        self.log.append(f"{leader.name} is killed {why}")
        leader.kill()
        if frees_lease:
            self.free_lease()
        leader.start()

    @_until_it_ends
    def free_lease(self) -> None:
        """Take the Lease away from whoever holds it."""
        answer = self._server.request("DELETE", self._lease)
        assert answer.code in (200, 404), answer.message

    @_until_it_ends
    def give_lease_away(self) -> None:
        """Let the Lease be somebody's who never renews it."""
        taken = {"spec": {"holderIdentity": "rival", "leaseDurationSeconds": 15}}
        answer = self._server.request("PATCH", self._lease, json.dumps(taken), MERGE_PATCH)
        assert answer.accepted, answer.message
        self.log.append("the Lease is a rival's")

    @_until_it_ends
    def scale_up(self) -> None:
        """Start one more replica."""
        self._replicas.append(self.network.another())
        self._replicas[-1].start()

    @_until_it_ends
    def freeze(self) -> None:
        """Let the replica that leads stand still."""
        self._frozen = self._leader()
        self._frozen.freeze()
        self.log.append(f"{self._frozen.name} stands still")

    @_until_it_ends
    def thaw(self) -> None:
        """Let it go on where it stood."""
        assert self._frozen is not None
        self._frozen.thaw()
        self.log.append(f"{self._frozen.name} goes on")

    def later(self, seconds: float, do: Callable[[], object]) -> None:
        """Do something after so many seconds, if the scenario goes on then."""

        def if_living() -> None:
            with self._one_at_a_time:
                if not self._over.is_set():
                    do()

        timer = threading.Timer(seconds, if_living)
        timer.daemon = True
        timer.start()

    @_until_it_ends
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
def job_scenario(
    server: ApiClient, engine: Engine, history: StatusHistory, folder: Path
) -> Iterator[JobScenario]:
    """A scenario that has not started; whatever happens in it ends with the block."""
    with (
        fault_proxy(server) as proxy,
        server.again() as own,
        hospital_network(
            own, engine, folder, address=proxy.url, process=ForkedOperator, started=False
        ) as network,
    ):
        scenario = JobScenario(network, proxy, history)
        try:
            yield scenario
        finally:
            scenario.end()


@dataclass(frozen=True)
class Record:
    """What must be the same however the operators fared.

    Attributes:
        resting_states: The job's state whenever its user scenario came to rest.
        attempts: How often the run of each attempt was created; by stage and number.
        starts: How often its driver was started.
    """

    resting_states: list[Object]
    attempts: Counter[str]
    starts: Counter[str]


def record_of(scenario: JobScenario) -> Record:
    """The record of a scenario that has come to its end."""
    network, kept = scenario.network, scenario.history
    runs = kept.events(network.namespace, RAYJOBS) + kept.events(network.namespace, BATCH_JOBS)
    created = [_attempt(each.object) for each in runs if each.type == "ADDED"]
    started = [run for run in network.engine.started if run.namespace == network.namespace]
    return Record(
        resting_states=scenario.resting_states,
        attempts=Counter(attempt for attempt in created if attempt is not None),
        starts=Counter(f"{run.kind}/{run.stage} {run.number}" for run in started),
    )


def faults_of(scenario: JobScenario) -> list[str]:
    """What must not happen in any scenario."""
    kept, namespace = scenario.history, scenario.network.namespace
    return [
        *contradictions([event.object for event in kept.events(namespace, JOBS)]),
        *two_at_once(kept.events(namespace, RAYJOBS), _ray_job_has_ended),
        *two_at_once(kept.events(namespace, PODS), _pod_has_ended),
        *(f"logged: {line}" for line in _unexpected_errors(scenario)),
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


def _resting_state(status: Object, namespace: str) -> Object:
    """Of a status what an undisturbed scenario has too: no times, no names that hold the job's uid."""
    stages = [{key: stage.get(key) for key in COMPARED} for stage in status["stages"]]
    conditions = {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}
    compared = {
        key: status.get(key) for key in ("phase", "progress", "stage", "best", "hospitals", "reportURI")
    }
    plain = json.dumps({**compared, "stages": stages, "conditions": conditions})
    return json.loads(plain.replace(namespace, "NAMESPACE"))


def _unexpected_errors(scenario: JobScenario) -> Iterator[str]:
    """Exceptions that replicas have logged: what an API server has caused is logged in a line."""
    for line in scenario.logged():
        if "exception" in line and "NotLeading" not in line["exception"]:
            yield line["exception"]
