"""The outbox: the states of a notification once it is recorded. Pure; knows no cluster and no provider."""
