# SPDX-License-Identifier: GPL-2.0-only
"""The selftests on a model whose functions are the kernel's own C: each has the outcome that it has by hand."""

from __future__ import annotations

import pytest

from pfncache.csource.kvm.translation import translate
from pfncache.designs.catalogue import mainline_7_3
from pfncache.designs.design import Design
from pfncache.designs.from_c import patch_of
from pfncache.selftests import SELFTESTS
from pfncache.selftests.runner import run
from tests.csource.kvm.trees import source

SOME = (
    "clock/in-anon", "long-window/valid-cache-anon", "paused-lookup/again-and-again",
    "widened/refresh-in-slot-dontneed", "xen/vcpu-info-anon", "xen/time-info-anon",
)  # fmt: skip
"""A test of each hook that the machine overrides in functions that are translated."""


KNOWN = {
    "gmem/bind-wrong-file": "the number of a file that is no guest_memfd stands for no file: EBADF instead of EINVAL",
    "limits/memslot-gmem": "numbers of the C do not wrap: an offset beyond 64 bits is not seen",
    "limits/memslot": "numbers of the C do not wrap: a memslot beyond 64 bits is not seen",
    "xen/no-shared-info": "the warning has the text of the C's condition",
    "xen/no-vcpu-info": "the warning has the text of the C's condition",
}
"""Tests with another outcome from C, and why."""


def outcomes(design: Design, names: list[str]) -> dict[str, tuple[str, str, str]]:
    """By test: the verdict, its reason, and what the test says."""
    return {
        result.test.name: (result.verdict.value, result.line.reason, result.outcome.text)
        for result in run([SELFTESTS[name] for name in names], None, design)
    }


@pytest.mark.parametrize("names", [
    pytest.param(list(SOME), id="some"), pytest.param(list(SELFTESTS), id="all", marks=pytest.mark.slow),
])  # fmt: skip
def test_outcomes_are_those_by_hand(names: list[str]) -> None:
    design = mainline_7_3 + [patch_of(translate(source("7.3.4"), version="7.3.4"))]
    from_c = outcomes(design.named("from-c", "from C"), names)
    by_hand = outcomes(mainline_7_3, names)
    assert {name for name in names if from_c[name] != by_hand[name]} == set(KNOWN) & set(names)
    assert [name for name in SOME if from_c[name][0] != "ok"] == []
