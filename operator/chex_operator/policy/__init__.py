"""What the operator decides: pure functions of what is observed, the frozen plan and the time. One policy a module.

observed     what a pass knows
course       the state of a pass; its steps, in order:
  following    what became of running attempts        (lifecycle, outcome, attempts)
  superseded   what an edit replaced, until it has ended
  planning     preflight, and the plan that follows   (frozen_plan, placement)
  limits       why a job is halted
  stopping     leftovers; how a run is stopped
  halting      what is stopped then; what goes later
  beginning    what begins
  ending       the end of a deleted job
  telling      status and conditions                  (summary, conditions, results)
  notices      events
  timers       when to look again
decide       the steps in their order
actions      what it can ask for
accounting   GPU-seconds for the metrics
admission    whether a manifest can be run on a runtime
"""
