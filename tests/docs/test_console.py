# SPDX-License-Identifier: GPL-2.0-only
"""Every console block of the README and the documentation prints what it shows, or says why it is not run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.litmus.trees import model
from tools import console

PAGES = console.pages()
COMMANDS = [command for page in PAGES for command in console.commands(page)]
RUN = [command for command in COMMANDS if not command.not_run]
QUICK = {"README.md", "docs/findings/xen-timer-after-exit.md"}
"""Pages whose commands are run by the quick tests too; the others would take a minute."""


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, id=command.where, marks=[] if command.page in QUICK else [pytest.mark.slow])
        for command in RUN
    ],
)
def test_output_is_current(tmp_path: Path, command: console.Command) -> None:
    if command.text.startswith("pfncache litmus"):
        model()  # skips the test where herd7 or the kernel's source is missing
    assert command.output.strip(), f"shows no output: python -m tools.refresh {command.page}"
    actual = console.run(command, tmp_path)
    if not console.same(command.output, actual):
        assert actual == command.output, f"{command.where}: python -m tools.refresh {command.page}"


def test_most_is_run() -> None:
    pages = {command.page for command in RUN}
    assert len(RUN) >= 25
    assert {"README.md", "CONTRIBUTING.md", "docs/tutorial/first-patch.md", "docs/how-to/ci.md"} <= pages
    assert {"docs/results/matrix.md", "docs/results/footprint.md", "docs/how-to/selftests.md"} <= pages


def test_each_finding_shows_its_trace() -> None:
    findings = {page.relative_to(console.ROOT).as_posix() for page in PAGES if page.parent.name == "findings"}
    assert findings - {command.page for command in RUN} == {"docs/findings/index.md"}


@pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(console.ROOT).as_posix() for page in PAGES])
def test_commands_are_in_console_blocks(page: Path) -> None:
    """A fence without a language would keep a command from being run."""
    for language, body in console.FENCE.findall(page.read_text()):
        assert language == "console" or not body.startswith("$ "), body


def test_every_console_block_is_found() -> None:
    """A fence that is not understood would hide the next one."""
    for page in PAGES:
        shown = len(re.findall(r"^```console$", page.read_text(), re.MULTILINE))
        assert [language for language, _ in console.FENCE.findall(page.read_text())].count("console") == shown, page


def test_what_is_not_run_says_why() -> None:
    assert all(len(command.not_run) > 10 for command in COMMANDS if command.not_run)
