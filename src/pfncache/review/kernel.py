# SPDX-License-Identifier: GPL-2.0-only
"""Builds the kernel with a series, boots it in QEMU, and runs the selftests on it.

These are two commands, as one would type them. They run in processes of their own beside the searches, and end with
the review.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

from pfncache import user_cache
from pfncache.kernels import make
from pfncache.kernels.patch_mail import PatchMail, write_series
from pfncache.machines.vm import qemu
from pfncache.review.report import FindingKind, ReviewFinding
from pfncache.review.stages import StageFailed, StageSkipped
from pfncache.selftests.runner import SelftestVerdict

BUILD_GIB = 4
"""Free space that a build of KVM's modules needs, with the source that is unpacked for it."""
DEBUG_GIB = 12
"""That of a whole kernel with KASAN."""
DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "TERM")
POLL_SECONDS = 0.2
END_SECONDS = 30.0
"""Time for a command to end after SIGTERM."""
VARIANT = "review"
"""Name of the kernel that is built, which the next review replaces."""
ERROR = "Error: "
ENDED = "it was interrupted"
WITH_RESULTS = (0, 1, 4)
"""Exit statuses of selftest whose document has every test's result: as expected, not, all skipped."""


@dataclass(kw_only=True)
class KernelRun:
    """A kernel with a series: its build, and its selftests."""

    base: str
    """The version of the source, as 7.3.4."""
    series: Path
    mails: Sequence[PatchMail] = ()
    """The patches, if each is to compile on those before it."""
    debug: bool
    tests: tuple[str, ...]
    """Names or prefixes of selftests; all if empty."""
    stopped: Event = field(default_factory=Event)
    """Set to end the command that runs."""
    command: tuple[str, ...] = (sys.executable, "-m", "pfncache")
    name: str = VARIANT
    errors: dict[int | None, str] = field(default_factory=dict)
    """Why the series up to a patch does not compile, by the number of the patch; None for the whole series."""
    note: Callable[[str], None] = lambda line: None
    """Takes lines of the commands' progress."""

    def missing(self) -> str:
        """Return why there can be no kernel on this host; empty if there can."""
        if packages := make.missing():
            return f"to build kernels: apt-get install {' '.join(packages)}"
        try:
            qemu.program()
        except qemu.QemuError as error:
            return str(error)
        needed = DEBUG_GIB if self.debug else BUILD_GIB
        free = shutil.disk_usage(user_cache.root().parent if not user_cache.root().exists() else user_cache.root()).free
        if free < needed << 30:
            return f"{free >> 30} GiB are free in {user_cache.root()}, and a build takes {needed}"
        return ""

    def build(self) -> str:
        """Build the kernel, up to each patch and then with all. Returns a line on it.

        Raises StageSkipped, and StageFailed with the compiler's error; `errors` has it too.
        """
        if why := self.missing():
            raise StageSkipped(why)
        for number in range(1, len(self.mails)):
            with user_cache.scratch() as folder, suppress(StageFailed):
                write_series(folder, self.mails[:number])
                self._built(folder, number)
        return self._built(self.series, None)

    def _built(self, series: Path, number: int | None) -> str:
        if self.stopped.is_set():
            raise StageFailed(ENDED)
        words = ["kernel", "build", "--base", self.base, "--series", str(series), "--name", self.name]
        code, out, err = self._run([*words, *(["--debug"] if self.debug else [])])
        if code != 0:
            self.errors[number] = _last(err) or f"kernel build ended with {code}"
            raise StageFailed(self.errors[number])
        return _last(out).partition(":")[0]

    def selftest(self) -> tuple[str, list[ReviewFinding]]:
        """Run the selftests on the kernel. Returns a line on them, and what differs from the C; raises StageFailed."""
        column = self._column(self.on_kernel, self.tests)
        results = column["results"]
        counts = {v.value: sum(r["verdict"] == v.value for r in results) for v in SelftestVerdict}
        text = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        return f"{column['about']}: {text}", list(findings_of(results))

    def results(self, where: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Run selftests of these names on a machine, by options of the command, as on_kernel and on_model.

        Returns the result of each, as in the JSON document, by name. Raises StageFailed.
        """
        return {result["test"]: result for result in self._column(where, names)["results"]}

    def _column(self, where: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
        code, out, err = self._run(["selftest", *where, "--json", *names])
        if code not in WITH_RESULTS:
            raise StageFailed(_last(err) or f"selftest ended with {code}")
        (column,) = json.loads(out)["kernels"]
        return dict(column)

    @property
    def on_kernel(self) -> tuple[str, ...]:
        """The options of selftest for the kernel that was built."""
        return "--kernel", self.name

    @property
    def on_model(self) -> tuple[str, ...]:
        """The same for the model of the series."""
        return "--machine", "model", "--design", str(self.series), "--base", self.base

    def _run(self, words: list[str]) -> tuple[int, str, str]:
        """Run a command of ours to its end, or until it is stopped. Returns its exit status, output, and progress."""
        with subprocess.Popen(
            [*DIE_WITH_PARENT, *self.command, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, process_group=0,
        ) as process:  # fmt: skip
            lines: list[str] = []
            outputs: list[str] = []
            readers = [
                Thread(target=self._read_progress, args=(process.stderr, lines), daemon=True),
                Thread(target=lambda: outputs.append(process.stdout.read() if process.stdout else ""), daemon=True),
            ]
            for reader in readers:
                reader.start()
            while process.poll() is None and not self.stopped.wait(POLL_SECONDS):
                pass
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(END_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
            for reader in readers:
                reader.join()
        if self.stopped.is_set():
            raise StageFailed(ENDED)
        return process.returncode, "".join(outputs), "\n".join(lines)

    def _read_progress(self, stream: Any, lines: list[str]) -> None:
        for line in stream:
            lines.append(line.rstrip())
            self.note(line.rstrip())


def findings_of(results: list[dict[str, Any]]) -> Iterator[ReviewFinding]:
    """Yield a finding for each selftest that is not as the C says under the model."""
    for result in results:
        if result["verdict"] == SelftestVerdict.FAILED.value:
            yield ReviewFinding(
                kind=FindingKind.SELFTEST, subject=result["test"],
                text=f"selftest {result['test']} is not as the model of the C says",
                details=tuple(result["notes"]),
            )  # fmt: skip


def _last(text: str) -> str:
    """Return the line of a command's output that says how it ended: its error, or else its last line."""
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix(ERROR) for line in lines if line.startswith(ERROR)]
    return (errors or lines or [""])[-1]
