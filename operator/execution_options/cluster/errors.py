"""The one error that this package raises for what its caller can act on."""


class ClusterError(Exception):
    """A control plane could not be built, started, found or reached.

    Its message is one line, written for the person at the terminal.
    """
