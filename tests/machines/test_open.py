# SPDX-License-Identifier: GPL-2.0-only
"""``import pfncache``: public names, and modules that it does not load."""

from __future__ import annotations

import subprocess
import sys

import pytest

import pfncache
from pfncache.check.compile.source import CompileError
from pfncache.designs.catalogue import DESIGNS, Patch, mainline_7_3
from pfncache.machines.machine import Machine


def test_import_loads_neither_the_engine_nor_the_kernel() -> None:
    code = "import pfncache, sys; print([m for m in ('numba', 'numpy', 'pfncache.linux') if m in sys.modules])"
    code += "; pfncache.model(); print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "False"]


def test_public_names() -> None:
    assert {"Machine", "SyscallError", "kvm", "model"} <= set(dir(pfncache))
    assert pfncache.Machine is Machine
    with pytest.raises(AttributeError, match="no attribute 'vm'"):
        _ = pfncache.vm  # type: ignore[attr-defined]


def test_designs_by_name_and_by_object() -> None:
    assert repr(pfncache.model("rfc-v4")) == "<model of rfc-v4: RFC v4 (2026-04-20) on the mainline of its time>"
    assert pfncache.model(DESIGNS["rfc-v4"]).design is DESIGNS["rfc-v4"]
    with pytest.raises(ValueError, match=r"no design 'rfc-v9'; known: mainline-7\.3"):
        pfncache.model("rfc-v9")


class Misspelt(Patch):
    """KVM: pfncache: a name that the kernel does not have."""

    def kvm_gpc_chekc(self) -> None:
        """Do nothing."""


class Nothing(Patch):
    """KVM: pfncache: no function at all."""


@pytest.mark.parametrize(
    ("patch", "line"),
    [(Misspelt, "Misspelt: kvm_gpc_chekc replaces nothing: .*nearest: kvm_gpc_check"), (Nothing, "has no function")],
)
def test_a_patch_that_replaces_nothing(patch: type[Patch], line: str) -> None:
    """It would be a machine of the base."""
    with pytest.raises(CompileError, match=line):
        pfncache.model(mainline_7_3 + [patch])
