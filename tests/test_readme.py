# SPDX-License-Identifier: GPL-2.0-only
"""The README's commands print what the README shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Run

README = (Path(__file__).parents[1] / "README.md").read_text()
SHOWN = re.findall(r"^```console\n\$ (pfncache [^\n]*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def without_times(text: str) -> str:
    """The text without what differs from run to run, and without the blanks at the ends of lines."""
    text = re.sub(r"in \d+\.\d s", "in N s", text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_console(
    pfncache: Callable[..., Run],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    output: str,
) -> None:
    for name, source in re.findall(r"`(\w+\.py)`:\n```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL):
        (tmp_path / name).write_text(source)
    monkeypatch.chdir(tmp_path)
    assert without_times(pfncache(*shlex.split(command)[1:]).out) == without_times(output)


def test_there_is_something_shown() -> None:
    assert len(SHOWN) >= 2
