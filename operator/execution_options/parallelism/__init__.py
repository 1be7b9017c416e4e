"""How many pods of an execution run at once, where its engine has no field for that: the pure core.

Pods are created with a scheduling gate; one slot after the other is given away by removing it.
https://kubernetes.io/docs/concepts/scheduling-eviction/pod-scheduling-readiness/
"""
