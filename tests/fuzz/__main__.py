# SPDX-License-Identifier: GPL-2.0-only
"""Fuzz the model against this host's kernel for a given time: ``python -m tests.fuzz SECONDS``."""

from __future__ import annotations

import sys
import time

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from pfncache.machines.isolate import isolated
from pfncache.selftests.identify import probe

from .differential import Differential

BATCH = settings(
    max_examples=100, stateful_step_count=60, database=None, deadline=None,
    suppress_health_check=list(HealthCheck), report_multiple_bugs=False, print_blob=False,
)  # fmt: skip
BATCH_SECONDS = 600.0


def _batch() -> tuple[int, str]:
    """So many operations, and how they differed, if they did."""
    before = Differential.operations
    try:
        run_state_machine_as_test(Differential, settings=BATCH)
    except AssertionError as difference:
        return Differential.operations - before, str(difference)
    return Differential.operations - before, ""


def main() -> int:
    """Batches until time is up. Exit status 1: a difference, or a hang."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    host = probe()
    if host.capabilities is None:
        print(f"no usable KVM on this host: {host.reason}")
        return 4
    Differential.design = host.design
    started, operations = time.monotonic(), 0
    while time.monotonic() - started < seconds:
        ended = isolated(_batch, BATCH_SECONDS)
        if ended.value is None:
            print(ended.trouble)
            return 1
        operations += ended.value[0]
        spent = time.monotonic() - started
        print(f"{operations:,} operations in {spent:.0f} s, {operations / spent:.0f}/s", flush=True)
        if ended.value[1]:
            print(ended.value[1])
            return 1
    print(f"the model of {host.design.name} and this host's kernel did not differ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
