"""What the operator decides: pure functions of what was observed, the frozen plan and the time.

outcome     how an attempt ended, from what KubeRay, the driver and its Pods say
attempts    whether and when a stage is tried again
"""
