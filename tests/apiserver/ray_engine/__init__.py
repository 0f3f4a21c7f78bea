"""A stand-in for KubeRay, the scheduler and the kubelets: RayJobs live and die as on a cluster, at a real API server.

definitions     CRDs with the fields that we render or read
objects         what KubeRay makes of a RayJob: the RayCluster, its Pods, the submitter's Job
ray_jobs        the state machine of a RayJob, as KubeRay 1.7 has it
ray_clusters    Pods made, replaced and counted
submitters      the Jobs of submitters
kubelet         Pods scheduled, started, ended and removed
mounts, ends    what containers are given; how they end, and what the status of their Pod says
programs        what containers do
heads           the Ray jobs that a head holds: all of them are lost with it
script          what happens to which attempt
timings         how long things take
driver          what a driver may do
driver_runs     drivers for scripts: finish, fail, hang, stop when asked, lose a Pod
local_process   a driver that really runs what the Pod would run
engine          all of it, in a thread of the test's process
api             calls of the API server

`test_engine.py` names each fact of KubeRay 1.7 that it copies. Left out: HTTPMode, SidecarMode and InteractiveMode,
clusterSelector, deletion rules, the autoscaler, and init containers.
"""
