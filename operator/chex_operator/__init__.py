"""The controller of `ChexTrainingJob`.

operator    the process: what starts, in which order, and how it ends
controller  observes the cluster, and applies what a pass decides
reconcile   one pass over a job: from what is observed to actions, status and events (pure)
rules       what a pass judges by: outcomes, retries, limits, placement, admission (pure)
rendering   from an attempt to Kubernetes objects (pure)
kube        API client, informers, work queue, Lease, events, metrics; knows nothing of training
"""
