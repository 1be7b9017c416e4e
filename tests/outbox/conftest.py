"""How Hypothesis runs here: a busy machine is no failure, so an example has no deadline."""

from hypothesis import settings

settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")
