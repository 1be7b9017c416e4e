"""The decision at admission, as a pure function: what an execution becomes, or why it is refused."""
