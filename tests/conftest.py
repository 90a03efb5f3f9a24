# SPDX-License-Identifier: GPL-2.0-only
"""The command as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pfncache.selftests.identify import Host

PFNCACHE = (sys.executable, "-m", "pfncache")


@dataclass
class Run:
    """What a call of the command came to."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


@pytest.fixture
def pfncache() -> Callable[..., Run]:
    """Call the command with arguments, in a process of its own."""

    def call(*args: str, timeout: float = 120) -> Run:
        done = subprocess.run([*PFNCACHE, *args], capture_output=True, text=True, timeout=timeout, check=False)
        return Run(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture(scope="module")
def kvm_host() -> Host:
    """This host's KVM; what needs it is skipped where there is none."""
    from pfncache.selftests.identify import probe  # for the tests that use it alone

    found = probe()
    if found.capabilities is None:
        pytest.skip(found.reason)
    return found
