"""What the controller knows of the cluster: executions, pods, options and channels as last seen."""

from execution_options.controller.cache.causes import Causes
from execution_options.controller.cache.directory import Directory
from execution_options.controller.cache.objects import LIVING, ExecutionObject, PodObject, is_living, kind_of
from execution_options.controller.cache.optionsindex import Known, OptionsIndex, written_at
from execution_options.controller.cache.tracker import Tracked, tracked
from execution_options.controller.cache.world import World

__all__ = [
    "LIVING",
    "Causes",
    "Directory",
    "ExecutionObject",
    "Known",
    "OptionsIndex",
    "PodObject",
    "Tracked",
    "World",
    "is_living",
    "kind_of",
    "tracked",
    "written_at",
]
