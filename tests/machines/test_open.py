# SPDX-License-Identifier: GPL-2.0-only
"""``import pfncache``: public names, and modules that it does not load."""

from __future__ import annotations

import subprocess
import sys

import pytest

import pfncache
from pfncache.designs.catalogue import DESIGNS
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
