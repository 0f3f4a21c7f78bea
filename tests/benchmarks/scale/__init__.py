"""Parts of `tests.benchmarks.operator_scale`.

stored       jobs, and the children of live ones, in states that the operator itself would have told
measuring    the operator as a process, and what it and the API server count
admission    what the admission of a job writes
events       how soon what drivers tell is in a status
bare_client  the same writes as fast as they go, without any operator
rival        the same admission on kopf, whose program `kopf_operator` runs under an interpreter of its own
"""
