"""The admission webhook: a thin shell around ``admission``, stateless, in any number of replicas."""
