# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of all tests: the command, in this process or in one of its own, and this host's KVM."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from pfncache.commands.main import main

if TYPE_CHECKING:
    from pfncache.selftests.identify import Host

PFNCACHE = (sys.executable, "-m", "pfncache")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell starts its background jobs so, and the commands that the tests interrupt would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass
class Run:
    """Exit status and output of a call of the command."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


Call = Callable[..., Run]


@pytest.fixture
def pfncache() -> Call:
    """Call the command with arguments, in this process. Output is that of a pipe, 80 columns wide."""

    def call(*args: str) -> Run:
        done = CliRunner().invoke(main, args, prog_name="pfncache", env={"COLUMNS": "80"})
        if done.exception is None or isinstance(done.exception, SystemExit):
            return Run(done.exit_code, done.stdout, done.stderr)
        return Run(done.exit_code, done.stdout, done.stderr + "".join(traceback.format_exception(done.exception)))

    return call


@pytest.fixture
def pfncache_process() -> Call:
    """Call the command with arguments, in a process of its own: for one smoke test a verb, signals and crashes."""

    def call(*args: str, timeout: float = 120) -> Run:
        done = subprocess.run([*PFNCACHE, *args], capture_output=True, text=True, timeout=timeout, check=False)
        return Run(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture(scope="module")
def kvm_host() -> Host:
    """This host's KVM; a test that uses it is skipped without one."""
    from pfncache.selftests.identify import probe  # for the tests that use it alone

    found = probe()
    if found.capabilities is None:
        pytest.skip(found.reason)
    return found
