# SPDX-License-Identifier: GPL-2.0-only
"""Which function of Linux a function of the model is."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import CALLER, is_part, linux_name, part_of, part_of_caller


def kvm_gpc_check() -> None: ...


def _kvm_gpc_refresh() -> None: ...


@atomic
@part_of("kvm_gpc_check")
def inner() -> None: ...


@part_of("kvm_gpc_check")
@atomic
def outer() -> None: ...


@part_of_caller
def anywhere() -> None: ...


def test_names() -> None:
    assert linux_name(kvm_gpc_check.__code__) == "kvm_gpc_check"
    assert linux_name(_kvm_gpc_refresh.__code__) == "__kvm_gpc_refresh"
    assert linux_name(inner.__wrapped__.__code__) == "kvm_gpc_check"  # type: ignore[attr-defined]
    assert linux_name(outer.__wrapped__.__code__) == "kvm_gpc_check"  # type: ignore[attr-defined]
    assert linux_name(anywhere.__code__) == CALLER


def test_parts() -> None:
    assert [is_part(f) for f in (kvm_gpc_check, inner, outer, anywhere)] == [False, True, True, True]
