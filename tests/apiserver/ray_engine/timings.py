"""How long things take. A real node took seconds where the default takes hundredths of one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Timings:
    """Seconds, but for `deadline_second`.

    Attributes:
        poll: Between two looks of KubeRay at a RayJob, as far as no event calls it earlier; 3 with KubeRay.
        schedule: From a Pod's creation until it has a node.
        start: Until its container runs.
        submit: From the start of the submitter until the entry point runs; `jobStatus` is PENDING meanwhile.
        terminate: From the wish that a Pod be gone until it is; 4 on a real node.
        driver: Between two times that a scripted driver tells progress, and hears what is asked of it; 5 for a real one.
        deadline_second: How long a second of the RayJob's deadlines is.
    """

    poll: float = 0.05
    schedule: float = 0.01
    start: float = 0.02
    submit: float = 0.02
    terminate: float = 0.03
    driver: float = 0.05
    deadline_second: float = 1.0
