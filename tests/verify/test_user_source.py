# SPDX-License-Identifier: GPL-2.0-only
"""A method of a file that is loaded again is the same one if and only if all that it depends on is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pfncache.designs.catalogue import mainline_7_3
from pfncache.designs.design import Design, Patch
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.properties import PROBES
from pfncache.verify.identity import definitions, functions_digest
from pfncache.verify.loader import load_design

CLOCK, CHECK = "kvm_guest_time_update", "kvm_gpc_check"
TEXT = """
from typing import Annotated

from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.lang.atomic import atomic
from pfncache.lang.records import Bound
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.linux.virt.kvm.pfncache import Pfncache

LIMIT = 3


def helper(vcpu, more=1):
    return vcpu.pv_time.active and more


class Mine(Patch, X86, Pfncache):
    '''Two functions.'''

    def kvm_guest_time_update(self, vcpu):
        rounds: Annotated[int, Bound(0, 3)] = LIMIT
        if helper(vcpu) and rounds:
            self.once_more(vcpu)
            super().kvm_guest_time_update(vcpu)

    def once_more(self, vcpu, times: int = 1):
        pass

    def kvm_gpc_check(self, gpc, length):
        return super().kvm_gpc_check(gpc, length)


mine = mainline_7_3 + [Mine]
"""


def load(tmp_path: Path, text: str) -> Design:
    path = tmp_path / "mine.py"
    path.write_text(text)
    return load_design(str(path))


def identities(design: Design) -> tuple[Any, Any]:
    kernel = design.kernel(*PROBES)
    return definitions(kernel, CLOCK), definitions(kernel, CHECK)


def test_a_file_that_is_loaded_twice(tmp_path: Path) -> None:
    one, two = (load(tmp_path, TEXT) for _ in range(2))
    assert one.patches[-1] is not two.patches[-1]
    assert identities(one) == identities(two)


@pytest.mark.parametrize(
    ("old", "new"),
    [("return super().kvm_gpc_check(gpc, length)", "return super().kvm_gpc_check(gpc, 0)"),
     ("length):\n        return", "length):\n        # why\n        return")],
)  # fmt: skip
def test_another_body_of_one_method(tmp_path: Path, old: str, new: str) -> None:
    """A line that is added to the last method moves it, and nothing else."""
    one, two = load(tmp_path, TEXT), load(tmp_path, TEXT.replace(old, new))
    assert identities(one)[0] == identities(two)[0]
    assert identities(one)[1] != identities(two)[1]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("active and more", "active or more"),
        ("more=1", "more=2"),
        ("times: int = 1", "times: int = 2"),
        ("times: int", "times: bool"),
        ("vcpu, times", "vcpu, other"),
        ("    def kvm_gpc_check", "    @atomic\n    def kvm_gpc_check"),
        ("LIMIT = 3", "LIMIT = len(open(__file__).read()) and 4"),
        ("import X86\n", "import X86 as X86\n"),
        ("\nLIMIT = 3", "\n\nLIMIT = 3"),
    ],
)
def test_another_file_around_a_method(tmp_path: Path, old: str, new: str) -> None:
    """The last one is a line more, which moves the helper: a trace shows where it is."""
    text = TEXT.replace(old, new)
    assert text != TEXT
    one, two = load(tmp_path, TEXT), load(tmp_path, text)
    assert identities(one)[0] != identities(two)[0]


def test_a_local_annotation(tmp_path: Path) -> None:
    """It is in no bytecode, but it bounds a register."""
    one, two = load(tmp_path, TEXT), load(tmp_path, TEXT.replace("Bound(0, 3)", "Bound(0, 7)"))
    assert identities(one)[0] != identities(two)[0]
    assert identities(one)[1] == identities(two)[1]


def test_a_module_beside_the_file(tmp_path: Path) -> None:
    """What it has in it is not known here: nothing is the same."""
    (tmp_path / "beside.py").write_text("VALUE = 1\n")
    text = TEXT.replace("LIMIT = 3", "from beside import VALUE as LIMIT")
    one, two = (load(tmp_path, text) for _ in range(2))
    assert identities(one)[0] != identities(two)[0]


class Constant(Patch, X86):
    """A constant and a property."""

    ROUNDS = 1

    @property
    def twice(self) -> int:
        """Of no kernel."""
        return 2


def test_members_that_are_no_functions() -> None:
    """A kernel has functions alone, so that a function can read no other member, and none is compared."""
    kernel = (mainline_7_3 + [Constant]).kernel(*PROBES)
    assert not hasattr(kernel, "ROUNDS")
    assert not hasattr(kernel, "twice")
    names = frozenset({CLOCK})
    assert functions_digest(kernel, names) == functions_digest(mainline_7_3.kernel(*PROBES), names)
