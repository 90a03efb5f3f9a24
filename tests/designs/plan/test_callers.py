# SPDX-License-Identifier: GPL-2.0-only
"""Which architectures reach guest memory by which functions, in the kernel's source."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.csource.kvm.trees import source

MEANS = {
    "pfncache": r"\bkvm_gpc_(activate|activate_hva|refresh)\(",
    "kvm_vcpu_map": r"\bkvm_vcpu_map(_readonly)?\(",
    "GUP": r"\b(__)?gfn_to_page\(",
    "user mapping": r"\bkvm_(vcpu_)?(read|write)_guest\w*\(|\b(kvm_vcpu_)?gfn_to_hva\w*\(",
}
"""Functions by which KVM reaches guest memory on its own behalf; a page fault of the guest is not among them."""
EXPECTED = {
    "pfncache": {"x86"},
    "kvm_vcpu_map": {"x86"},
    "GUP": {"arm64", "powerpc", "s390"},
    "user mapping": {"arm64", "loongarch", "powerpc", "riscv", "s390", "x86"},
}


@pytest.mark.parametrize("means", MEANS)
def test_architectures_that_use_it(means: str) -> None:
    pattern = re.compile(MEANS[means])
    arch = source("7.3.4") / "arch"
    found = {folder.name for folder in arch.iterdir() if any(map(pattern.search, _sources(folder / "kvm")))}
    assert found == EXPECTED[means]


def _sources(folder: Path) -> list[str]:
    return [path.read_text(errors="replace") for path in sorted(folder.rglob("*.[ch]"))]
