"""The search of a hospital: arms, draws of labels, configurations, halving, units of work and who runs them.

Everything but `actors` is pure: arms are coroutines over units of work, a coordinator says which units are ready,
and what is finished is known from the artifact store alone. `actors` runs the units in Ray Tune.
What a unit computes lies in `chex_jobs.adaptation`.
"""
