"""The thin shell around `chex_operator.reconcile`.

views, pods, fields   what is kept of the API's objects
caches                what is followed, and which job a change concerns
gone_pods             what befell Pods between two passes
observe               from caches to what a pass looks at
act                   carries out what was decided
reconciler            one pass: observe, decide, act
orphans               RayJobs that outlived their job
"""
