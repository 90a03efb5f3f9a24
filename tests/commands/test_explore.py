# SPDX-License-Identifier: GPL-2.0-only
"""The verb explore: what it prints, what it refuses, and how it ends."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import urllib.request

import pytest

from pfncache.commands.exit_status import ExitStatus
from tests.conftest import PFNCACHE, Call


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mainline-7.3"], "Missing argument 'SCENARIO'."),
        (["mainline-7.9", "gpc/refresh-twice"], "no design 'mainline-7.9'; nearest: "),
        (["mainline-7.3", "gpc/"], "no scenario 'gpc/'; nearest: "),
        (["mainline-7.3", "clock/gmem-ndm/punch"], "mainline-7.3 has no memory of the kind gmem-ndm"),
        (["mainline-7.3", "gpc/refresh-twice", "--port", "70000"], "Invalid value for '--port': "),
    ],
)
def test_what_is_wrong_is_one_line(words: list[str], message: str, pfncache: Call) -> None:
    done = pfncache("explore", *words)
    assert done.code == ExitStatus.USAGE
    assert done.err.splitlines()[-1].startswith(f"Error: {message}"), done.err


def test_a_port_that_is_taken_is_one_line(pfncache: Call) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = pfncache("explore", "list-outside-refresh-lock", "gpc/activate-twice", "--port", str(port))
    assert done.code == ExitStatus.USAGE
    assert done.err.splitlines()[-1] == f"Error: --port {port}: Address already in use"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, ExitStatus.INTERRUPTED), (signal.SIGTERM, ExitStatus.TERMINATED)]
)
def test_it_serves_until_a_signal(number: signal.Signals, status: ExitStatus) -> None:
    words = [*PFNCACHE, "explore", "list-outside-refresh-lock", "gpc/activate-twice"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        url = running.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{43}/", url)
        with urllib.request.urlopen(url, timeout=60) as answer:
            assert b"list-corruption in gpc/activate-twice" in answer.read()
        running.send_signal(number)
        out, err = running.communicate(timeout=30)
    assert (running.returncode, out) == (status, "")
    assert "Traceback" not in err
