"""The operator as its own process at a real API server, with the stand-in for KubeRay and the nodes.

operator_process   the process, its log, its end
hospital_network   a namespace with a runtime, an operator that serves it, and jobs
recorder           every status that was ever written, and what must hold between them
"""
