# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's monitor, by QMP. QEMU connects to a socket that exists before it is started."""

from __future__ import annotations

import asyncio
import logging
import shlex
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from qemu.qmp import QMPClient
from qemu.qmp.error import QMPError

T = TypeVar("T")
logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)  # errors are raised, and not logged too
_COMMAND_SECONDS = 20.0
_POLL = 0.01
_BANDWIDTH = 1 << 40


class MonitorError(Exception):
    """A command of the monitor has failed."""


class Monitor:
    """A connection with one QEMU."""

    def __init__(self, path: Path) -> None:
        self._runner = asyncio.Runner()
        self._client = QMPClient("pfncache")
        self._runner.run(self._client.start_server(str(path)))

    def accept(self, seconds: float) -> None:
        """Wait for QEMU to connect."""
        self._wait(self._client.accept(), seconds)

    def execute(self, command: str, **arguments: object) -> Any:
        """Run a command. Returns its result."""
        return self._wait(self._client.execute(command, arguments or None), _COMMAND_SECONDS)

    def _wait(self, what: Coroutine[Any, Any, T], seconds: float) -> T:
        try:
            return self._runner.run(asyncio.wait_for(what, seconds))
        except TimeoutError:
            raise MonitorError(f"QEMU's monitor does not answer within {seconds:.0f} s") from None
        except QMPError as error:
            raise MonitorError(str(error)) from None

    def restored(self, seconds: float) -> None:
        """Wait for the end of an incoming migration, and resume the guest."""
        deadline = time.monotonic() + seconds
        while self.execute("query-status")["status"] == "inmigrate":
            if time.monotonic() > deadline:
                raise MonitorError(f"the saved state is not read within {seconds:.0f} s")
            time.sleep(_POLL)
        self.resume()

    def save(self, path: Path, seconds: float) -> None:
        """Stop the guest and write its state to a file; :meth:`resume` resumes it."""
        self.execute("migrate-set-parameters", **{"max-bandwidth": _BANDWIDTH})
        self.execute("stop")
        self.execute("migrate", uri=f"exec:cat > {shlex.quote(str(path))}")
        deadline = time.monotonic() + seconds
        while (state := self.execute("query-migrate"))["status"] != "completed":
            if state["status"] == "failed" or time.monotonic() > deadline:
                raise MonitorError(f"the guest's state cannot be saved: {state.get('error-desc', state['status'])}")
            time.sleep(_POLL)

    def resume(self) -> None:
        """Resume a stopped guest."""
        self.execute("cont")

    def close(self) -> None:
        """Disconnect. QEMU may have ended already."""
        try:
            self._runner.run(asyncio.wait_for(self._client.disconnect(), _COMMAND_SECONDS))
        except (QMPError, EOFError, OSError, TimeoutError) as error:
            self.trouble = str(error)
        finally:
            self._runner.close()
