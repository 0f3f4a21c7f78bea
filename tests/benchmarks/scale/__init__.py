"""Parts of `tests.benchmarks.operator_scale`.

stored       jobs, and the children of live ones, in states that the operator itself would have told
measuring    the operator as a process, and what it and the API server count
bare_client  creates as fast as they go, without any operator
kopf_rival   the same admission on another framework; runs under an interpreter of its own
"""
