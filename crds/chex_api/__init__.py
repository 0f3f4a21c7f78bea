"""The API of CheXDragon: what a manifest may say, and what follows from it without touching the world.

Belongs here: the models of the three kinds, their defaults, bounds and rules, the CRD emitter, the pure plan (stages and
their identities) and the contract between an executor and a stage. Does not belong here: clocks, environment, files,
network, numpy, torch, Ray or a Kubernetes client.
"""

API_VERSION = "chexdragon.dev/v1alpha1"
"""The one served version. It is no part of an identity: a later version of the same shape changes no result."""
