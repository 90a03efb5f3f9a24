# SPDX-License-Identifier: GPL-2.0-only
"""Findings about a host, and how to get what is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pfncache.designs.catalogue import DESIGNS
from pfncache.doctor import findings, runnable
from pfncache.machines.capabilities import Capabilities
from pfncache.selftests import SELFTESTS
from pfncache.selftests.identify import Host

NAMES = [
    "KVM", "guest_memfd", "guest_memfd, mapped", "guest_memfd, unmapped", "private memory", "userfaultfd",
    "long invalidations", "QEMU", "kernels for QEMU", "herd7", "search engine",
]  # fmt: skip
OF_THIS_HOST = {"QEMU", "kernels for QEMU", "herd7", "search engine"}
MODERN = Host(
    Capabilities(True, True, 7, 8, frozenset({0, 1}), 7, True),
    DESIGNS["mainline-7.3"],
    "overlapping bindings are EEXIST",
)


def test_everything_that_a_modern_host_has() -> None:
    found = findings(MODERN)
    assert [f.what for f in found] == NAMES
    missing = {f.what for f in found if not f.found} - OF_THIS_HOST
    assert missing == set()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            {"guest_memfd": False, "guest_memfd_flags": 0},
            {"guest_memfd", "guest_memfd, mapped", "guest_memfd, unmapped"},
        ),
        ({"memory_attributes": 0}, {"private memory"}),
        ({"userfaultfd": 0}, {"userfaultfd"}),
        ({"notifier_window": False}, {"long invalidations"}),
    ],
)
def test_what_is_missing_comes_with_a_remedy(change: dict[str, object], what: set[str]) -> None:
    assert MODERN.capabilities is not None
    host = replace(MODERN, capabilities=replace(MODERN.capabilities, **change))  # type: ignore[arg-type]
    missing = [f for f in findings(host) if not f.found and f.what not in OF_THIS_HOST]
    assert {f.what for f in missing} == what
    assert all(f.remedy and f.enables for f in missing)


def test_groups_that_are_named_exist() -> None:
    groups = {test.group for test in SELFTESTS.values()}
    for finding in findings(MODERN):
        if finding.what in ("userfaultfd", "long invalidations"):
            assert finding.enables in groups


def test_opt_in_tests_are_counted() -> None:
    assert MODERN.capabilities is not None
    everything = replace(MODERN.capabilities, xen=0x1FF, parallel=True, delayed=True, disposable=True)
    assert ", 4 of them only by full name; " in runnable(everything)
    assert "full name" not in runnable(MODERN.capabilities)


@pytest.mark.parametrize("name", ["fetched", "Hardware.here"])
def test_what_cannot_be_read_is_a_line(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def unreadable() -> None:
        raise PermissionError(13, "Permission denied", "/cache")

    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr("shutil.which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr(f"pfncache.doctor.{name}", unreadable)
    found = findings(MODERN)
    assert [f.what for f in found] == NAMES
    (line,) = [f for f in found if "Permission denied" in f.remedy]
    assert line.remedy == "make readable what cannot be read: [Errno 13] Permission denied: '/cache'"
