# SPDX-License-Identifier: GPL-2.0-only
"""Constants of user-space interfaces have the values of Linux's headers, where a kernel's source was fetched."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import pfncache.linux.arch.x86.include.uapi.asm
import pfncache.linux.include.uapi.linux
from pfncache import user_cache

RELEASE = "7.3.4"
DEFINE = re.compile(r"^#[ \t]*define[ \t]+(\w+)[ \t]+(.+?)[ \t]*(?:/\*.*)?$", re.MULTILINE)
FUNCTION = re.compile(r"\bFN\((\w+), (\d+),")
NOT_IN_LINUX = {
    "GUEST_MEMFD_FLAG_NO_DIRECT_MAP", "KVM_GMEM_KEEP_DIRECT_MAP", "KVM_GMEM_LEAVE_DIRECT_MAP", "PROT_RW", "PUNCH_HOLE",
    "SHARED_GMEM",
}  # fmt: skip
"""Of a series and of the plan, and combinations of flags."""
ENUMERATORS = {
    "BPF_MAP_CREATE", "BPF_MAP_UPDATE_ELEM", "BPF_PROG_LOAD", "BPF_PROG_TYPE_KPROBE", "BPF_MAP_TYPE_PROG_ARRAY",
    "BPF_REG_10",
}  # fmt: skip
"""Members of enums, whose values are not written in the header."""
HEADERS = (
    "include/uapi/linux", "include/uapi/asm-generic", "arch/x86/include/uapi/asm",
)  # fmt: skip


@pytest.fixture(scope="module")
def values() -> dict[str, set[int]]:
    """Values of the macros of the uapi headers, by name: those that are numbers or shifts of one."""
    trees = sorted(user_cache.folder("sources").glob(f"{RELEASE}*/source"))
    if not trees:
        pytest.skip(f"no source of Linux {RELEASE} in the cache: pfncache kernel build --base 7.3")
    found: dict[str, set[int]] = {}
    for folder in HEADERS:
        for header in sorted((trees[-1] / folder).glob("*.h")):
            _read(header, constants(), found)
    return found


def _read(header: Path, wanted: dict[str, int], found: dict[str, set[int]]) -> None:
    text = header.read_text(errors="replace")
    for name, expression in DEFINE.findall(text):
        plain = re.sub(r"\(__[su](?:32|64)\)", "", expression)
        plain = re.sub(r"\b(0x[0-9a-fA-F]+|\d+)[uUlL]+\b", r"\1", plain)
        if name in wanted and re.fullmatch(r"[0-9a-fA-Fx\s()<|+-]+", plain):
            bits = 32 if "__u32" in expression else 64
            found.setdefault(name, set()).add(int(eval(plain)) & (1 << bits) - 1)
    for name, number in FUNCTION.findall(text):
        found.setdefault(f"BPF_FUNC_{name}", set()).add(int(number))


def constants() -> dict[str, int]:
    found: dict[str, int] = {}
    for package in (pfncache.linux.include.uapi.linux, pfncache.linux.arch.x86.include.uapi.asm):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            names = vars(importlib.import_module(module.name))
            found |= {n: v for n, v in names.items() if isinstance(v, int) and re.match(r"[A-Z]", n)}
    return found


@pytest.mark.slow
def test_values_are_those_of_the_headers(values: dict[str, set[int]]) -> None:
    named = {n: v for n, v in constants().items() if n not in NOT_IN_LINUX | ENUMERATORS}
    ioctls = {n for n in named if n.startswith("PERF_EVENT_IOC_")}
    unknown = {n for n in named if n not in values} - ioctls
    assert unknown == set()
    assert {n: (v, values[n]) for n, v in named.items() if n not in ioctls and v not in values[n]} == {}
