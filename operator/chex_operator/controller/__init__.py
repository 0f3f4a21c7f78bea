"""The shell around `chex_operator.reconcile`: everything that reads or writes the API server.

projections, pods, fields  what is kept of the API's objects
caches                     what is watched, and which job a change concerns
pod_failures               failures of Pods between two passes
observe                    from caches to what a pass looks at
apply                      carries out what a pass decided
reconciler                 one pass: observe, decide, apply
orphans                    RayJobs that outlived their job
"""
