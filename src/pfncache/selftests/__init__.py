# SPDX-License-Identifier: GPL-2.0-only
"""Tests of KVM's access to guest memory, written once and run on every machine."""

from __future__ import annotations

from pfncache.selftests.selftest import Selftest
from pfncache.selftests.suites import (
    api,
    attributes,
    clock,
    footprint,
    hyperv,
    invalidation,
    limits,
    nested,
    races,
    series,
    slots,
    traced,
    vm_destroy,
    widened,
    xen,
    xen_poll,
    xen_vcpu,
)

SUITES = (
    series.SUITE, series.CONVERSION, api.SLOTS, api.GMEM, attributes.SUITE, limits.SUITE, clock.CLOCK_SUITE,
    clock.STEAL_SUITE, invalidation.SUITE, invalidation.STEAL_SUITE, slots.SUITE, slots.DIRTY, races.PAUSED,
    races.WINDOW, footprint.SUITE, xen.SUITE, xen_poll.SUITE, widened.SUITE, widened.EXITS, vm_destroy.SUITE,
    xen_vcpu.TIMERS, hyperv.SUITE, nested.SUITE,
)  # fmt: skip
SELFTESTS: dict[str, Selftest] = {test.name: test for suite in SUITES for test in suite.tests}
"""Every test with a purpose of its own, by name."""


def find(name: str) -> Selftest | None:
    """Return the test of a full name, or one that its name describes (suites/traced.py); None if there is none."""
    return SELFTESTS.get(name) or traced.find(name)
