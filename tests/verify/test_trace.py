# SPDX-License-Identifier: GPL-2.0-only
"""A trace as text and as JSON."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

import pfncache.linux.virt.kvm.pfncache as module
from pfncache.verify.trace import Trace, TraceRow, kernel_path, render


def row(cpu: int, actor: str, function: str, source: str, text: str, *changes: str) -> TraceRow:
    return TraceRow(cpu=cpu, actor=actor, function=function, source=source, text=text, changes=changes)


TINY = Trace(
    actors=("vcpu", "punch"),
    rows=(
        row(0, "vcpu", "publish_pfn", "virt/kvm/pfncache.py:12", "gpc.valid = True", "gpc.valid: False -> True"),
        row(0, "vcpu", "publish_pfn", "virt/kvm/pfncache.py:13", "gpc.pfn = pfn"),
        row(1, "punch", "put_page", "mm/page_alloc.py:7", "page.refcount -= 1", "page.refcount: 1 -> 0"),
        row(0, "vcpu", "publish_pfn", "virt/kvm/pfncache.py:14", "self.use(gpc)"),
    ),
    reason="pfn 0 is written, but it is free",
)


def lines(text: str) -> list[str]:
    return dedent(text).strip("\n").splitlines()


def test_render() -> None:
    assert render(TINY).splitlines() == lines("""
        CPU0: vcpu                           CPU1: punch
        ===================================  ===================================
        publish_pfn()
          virt/kvm/pfncache.py:12
          gpc.valid = True
            [gpc.valid: False -> True]
          virt/kvm/pfncache.py:13
          gpc.pfn = pfn
                                             put_page()  mm/page_alloc.py:7
                                               page.refcount -= 1
                                                 [page.refcount: 1 -> 0]
        publish_pfn()
          virt/kvm/pfncache.py:14
          self.use(gpc)

        => pfn 0 is written, but it is free
    """)


def test_render_wide() -> None:
    assert "publish_pfn()  virt/kvm/pfncache.py:12" in render(TINY, width=88).splitlines()


def test_render_in_narrow_columns() -> None:
    """A head that does not fit has its place in the next line; everything is wrapped, and a long path shortened."""
    step = row(1, "b", "a_function", "virt/kvm/kvm_main/gup.py:1", "one = two + three", "record.count: 1 -> 2")
    trace = Trace(actors=("a", "a long name of an actor"), rows=(step,), reason="word " * 9 + "end")
    assert render(trace, width=40).splitlines() == lines("""
        CPU0: a             CPU1: a long name
        ==================  ==================
                            a_function()
                              .../gup.py:1
                              one = two +
                              three
                                [record.count:
                                1 -> 2]

        => word word word word word word word
           word word end
    """)


@pytest.mark.parametrize("width", [40, 75, 88, 120])
def test_no_line_is_wider(width: int) -> None:
    long = "a" * 90
    steps = tuple(row(cpu, "b", long, f"virt/{long}/gup.py:1", f"{long} = {long}", f"{long}: 1 -> 2") for cpu in (0, 1))
    text = render(Trace(actors=(long, long), rows=steps, reason=long, loop=1), width)
    assert max(len(line) for line in text.splitlines()) <= width


def test_rows_as_json() -> None:
    assert TINY.rows[0].as_json() == {
        "cpu": 0,
        "actor": "vcpu",
        "function": "publish_pfn",
        "source": "virt/kvm/pfncache.py:12",
        "text": "gpc.valid = True",
        "changes": ["gpc.valid: False -> True"],
    }


def test_files_are_named_as_in_the_kernel_tree() -> None:
    assert kernel_path(module.__file__ or "") == "virt/kvm/pfncache.py"
    assert kernel_path(str(Path("/somewhere") / "mine.py")) == "mine.py"


@pytest.mark.parametrize(("cpus", "width"), [(1, 75), (2, 75), (3, 111), (4, 148)])
def test_width_by_the_number_of_cpus(cpus: int, width: int) -> None:
    rule = render(Trace(actors=("a",) * cpus, rows=(), reason="")).splitlines()[1]
    assert len(rule) == width // cpus * cpus - 2
