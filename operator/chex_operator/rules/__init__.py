"""The rules that a pass uses, each a pure function of what is observed, the frozen plan and the time.

observed     what a pass looks at
outcome      how an attempt ended
retry        whether and when a stage is tried again
stage_state  a stage through its attempts: waiting, running, stopping, finished, failed
termination  what still holds machines, and how long a stop may take
limits       why a job stops: its own wish, a failed stage, its deadline, its budget
admission    whether a manifest can be run on a runtime
placement    pools and numbers of workers
frozen_plan  the accepted plan, and the ConfigMaps that hold it
accounting   GPU-seconds
conditions   the transitions of `metav1` conditions
summary      the one line that people read first
results      what finished stages report of hospitals
reasons      every reason with its situation and its message; decisions compare reasons, never messages
timestamps   times as a status holds them

What is done about a job, and in which order, belongs to `reconcile`.
"""
