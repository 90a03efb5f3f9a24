# SPDX-License-Identifier: GPL-2.0-only
"""Findings that are made up, so that a page of them needs no search."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pfncache.review.explorer.finding import ExplorerFinding
from pfncache.review.explorer.recording import (
    RecordedCall,
    RecordedChange,
    RecordedObject,
    RecordedStep,
    Recording,
)
from pfncache.verify.trace import KERNEL, Trace, TraceRow

FILE = "virt/kvm/pfncache.py"
HOSTILE = "</script><script>document.title = 'driven'</script><img src=x onerror=\"document.title = 'driven'\">&amp;"
"""A text that must stay text."""


def call(function: str, line: int) -> RecordedCall:
    return RecordedCall(function=function, file=FILE, line=line, path=str(KERNEL / FILE))


def step(
    number: int, cpu: int, changes: tuple[RecordedChange, ...] = (), *, matters: bool = True, function: str = "refresh"
) -> RecordedStep:
    stack = (call(f"caller_{cpu}", 30), call(function, 40 + number))
    return RecordedStep(cpu=cpu, stack=stack, shown=1, changes=changes, taken=number, matters=matters)


def change(number: int, member: str, old: str, new: str) -> RecordedChange:
    return RecordedChange(object=number, member=member, old=old, new=new)


CACHE = RecordedObject(
    name="vcpu.pv_time",
    struct="gfn_to_pfn_cache",
    group="Caches",
    values={"valid": "true", "active": "true", "pfn": "0", "khva": "0x8"},
)
PAGE = RecordedObject(
    name="page0",
    struct="page",
    group="Pages and files",
    values={"pfn": "0", "free": "false", "refcount": "1", "direct_map": "true", "index": "0"},
)
SPTE = RecordedObject(name="kvm.spte[0]", struct="spte", group="Page tables", values={"pfn": "0"})
STEPS = (
    step(1, 0, (change(0, "valid", "true", "false"),), function="invalidate"),
    step(2, 0, matters=False),
    step(3, 1, (change(1, "refcount", "1", "0"), change(1, "free", "false", "true")), matters=False),
    step(4, 1, (change(0, "valid", "false", "true"),)),
    step(5, 0, (change(2, "pfn", "0", "none"),), function="zap"),
)
RECORDING = Recording(actors=("vmm", "vcpu"), objects=(CACHE, PAGE, SPTE), steps=STEPS, page_shift=1)
TRACE = Trace(
    actors=("vmm", "vcpu"),
    rows=(
        TraceRow(cpu=0, actor="vmm", function="invalidate", source=f"{FILE}:41", text="gpc.valid = False",
                 changes=("vcpu.pv_time.valid: True -> False",)),
        TraceRow(cpu=1, actor="vcpu", function="refresh", source=f"{FILE}:44", text="gpc.valid = True", changes=()),
    ),
    reason="pfn 0 is free",
)  # fmt: skip
FINDING = ExplorerFinding(
    design="rfc-v4",
    scenario="gmem/punch",
    property="use-after-free",
    verdict="violated",
    message="pfn 0 is free",
    command="pfncache verify rfc-v4 -s gmem/punch",
    trace=TRACE,
    recording=RECORDING,
)
ROWS_ALONE = replace(FINDING, property="leak", recording=None)
HOSTILE_FINDING = replace(FINDING, design=HOSTILE, message=HOSTILE, command=HOSTILE, scenario=HOSTILE)


def written(folder: Path, text: str) -> str:
    """Write a page into a folder, and return its address."""
    path = folder / "page.html"
    path.write_text(text, encoding="utf-8")
    return path.as_uri()
