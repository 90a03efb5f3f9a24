# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from pfncache.review.shortlist import SHORTLISTS, shortlist
from pfncache.scenarios import SCENARIOS
from tests.csource.kvm.test_faults import FAULTS


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_of_a_file_is_found_by_its_list(name: str) -> None:
    assert FAULTS[name].scenario in shortlist([FAULTS[name].file])


def test_the_scenarios_exist() -> None:
    assert [name for names in SHORTLISTS.values() for name in names if name not in SCENARIOS] == []


def test_a_file_without_a_list_has_them_all() -> None:
    everything = shortlist([])
    assert shortlist(["mm/mmap.c"]) == everything
    assert set(shortlist(["virt/kvm/pfncache.c", "mm/mmap.c"])) < set(everything)
    assert len(everything) == len(set(everything)) == len({n for names in SHORTLISTS.values() for n in names})
