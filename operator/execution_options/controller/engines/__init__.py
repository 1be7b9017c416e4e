"""Follows engines that come and go: rights, webhook entries and artifact repositories."""

from execution_options.controller.engines.assembly import EngineLoop
from execution_options.controller.engines.repositories import ArtifactRepositories

__all__ = [
    "ArtifactRepositories",
    "EngineLoop",
]
