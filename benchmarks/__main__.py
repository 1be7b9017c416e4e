"""``python -m benchmarks [NAME...]``: run the named benchmarks, or all."""

from __future__ import annotations

import os
import sys
import time

from benchmarks import alone, engines, fairness, growth, jobs, many, memory, notifications, parallelism, pods

BENCHMARKS = {
    "pods": pods.run,
    "jobs": jobs.run,
    "alone": alone.run,
    "many": many.run,
    "memory": memory.run,
    "notifications": notifications.run,
    "parallelism": parallelism.run,
    "engines": engines.run,
    "fairness": fairness.run,
    "growth": growth.run,
}
OTHERS = {"profile": alone.profile}
"""Run only when they are named."""


def main(wanted: list[str]) -> int:
    """Run the benchmarks; an unknown name is an error, a missed aim is not."""
    unknown = [name for name in wanted if name not in BENCHMARKS | OTHERS]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS | OTHERS)}", file=sys.stderr)
        return 2
    for name in wanted or BENCHMARKS:
        began = time.monotonic()
        (BENCHMARKS | OTHERS)[name]()
        print(f"  {name}: {time.monotonic() - began:.0f} s, load average {os.getloadavg()[0]:.1f} at its end")
    return 0


if __name__ == "__main__":
    sys.exit(main([name for name in sys.argv[1:] if name != growth.FULL_SIZE]))
