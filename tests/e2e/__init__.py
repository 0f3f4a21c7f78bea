"""On a cluster with KubeRay and the operator, whichever KUBECONFIG names: `make e2e`.

CHEX_E2E_NAMESPACE   a namespace where jobs may be made (default: default)
CHEX_E2E_RUNTIME     a ClusterChexRuntime that has a pool `gpu` of at least two workers
CHEX_E2E_ARTIFACTS   s3:// folder that the runtime lets the namespace write to

Nothing here runs in `make test`: no machine that tests run on has such a cluster.
"""
