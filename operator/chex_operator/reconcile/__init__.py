"""One pass over a job, decided purely: from what is observed to actions, a status, events and the time of the next pass.

decide         the steps in their order
state          what the steps change in turn
sync_attempts  what became of running attempts
superseded     attempts that an edit replaced, until they have ended
planning       preflight, and the plan that follows
stop           what stops, and how
cleanup        what is cleared away
start          what starts
deletion       the finalizer, and a job that was deleted
status         status and conditions
events         Kubernetes events
requeue        when the next pass is due
actions        what a pass can ask for

How a single thing is judged (an outcome, a retry, a limit) belongs to `rules`.
"""
