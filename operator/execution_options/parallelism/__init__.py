"""Limits the pods of an execution that run at once, if its engine has no field for that. Pure.

Pods are created with a scheduling gate. A pod gets a slot when its gate is removed.
https://kubernetes.io/docs/concepts/scheduling-eviction/pod-scheduling-readiness/
"""
