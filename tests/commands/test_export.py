# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache export``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Run

Command = Callable[..., Run]


def test_promela(pfncache: Command) -> None:
    run = pfncache("export", "--promela", "rfc-v4-fixed", "-s", "clock/anon/munmap")
    assert run.code == 0
    assert run.out.startswith("/* clock/anon/munmap under rfc-v4-fixed: vcpu: clock_update x2 | munmap; 3 pages */\n")
    assert run.out.count("active proctype") == 3


def test_unknown_scenario_names_the_nearest(pfncache: Command) -> None:
    run = pfncache("export", "--promela", "-s", "clock/anon/munmp")
    assert run.code == 2
    assert "clock/anon/munmap" in run.err


def test_tla(pfncache: Command, tmp_path: Path) -> None:
    """A module of the file's name, and its configuration for TLC beside it."""
    run = pfncache("export", "--tla", "rfc-v4-fixed", "-s", "clock/anon/munmap", "-o", str(tmp_path / "clock.tla"))
    assert (run.code, run.out) == (0, "")
    head, title, *_ = (tmp_path / "clock.tla").read_text().splitlines()
    assert head == "---- MODULE clock ----"
    assert title == "\\* clock/anon/munmap under rfc-v4-fixed: vcpu: clock_update x2 | munmap; 3 pages"
    assert (tmp_path / "clock.cfg").read_text() == "SPECIFICATION Spec\nINVARIANT NothingFails\n"


@pytest.mark.parametrize("output", [(), ("-o", "clock.txt"), ("-o", "a-b.tla"), ("-o", "EXTENDS.tla")])
def test_tla_requires_a_name(output: tuple[str, ...], pfncache: Command) -> None:
    run = pfncache("export", "--tla", "-s", "clock/anon/munmap", *output)
    assert run.code == 2
    assert "--tla needs -o NAME.tla" in run.err


def test_own_design_and_scenario(pfncache: Command, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from pfncache import scenario\nfrom pfncache.designs.catalogue import mainline_7_3\n"
        "a = mainline_7_3 + []\nb = mainline_7_3 + []\n"
        "@scenario\ndef touch(w):\n    w.actor('touch', w.call('do_user_addr_fault', w.mm, w.hva))\n"
    )
    run = pfncache("export", "--promela", f"{path}:b", "-s", "mine/touch")
    assert run.out.startswith("/* mine/touch under b: touch: do_user_addr_fault; 3 pages */\n")
    run = pfncache("export", "--promela", str(path), "-s", "mine/touch")
    assert run.err.splitlines()[-1] == "Error: one design is needed, not 2 (a, b); name one, as FILE.py:design"


def test_help_has_the_commands_as_they_are_typed(pfncache: Command) -> None:
    run = pfncache("export", "--help")
    assert "\\b" not in run.out
    assert (
        "\n  pfncache export --promela mainline-7.3 -s clock/anon/munmap -o model.pml\n  spin -a model.pml && gcc"
        in run.out
    )


def test_output_that_cannot_be_written(pfncache: Command, tmp_path: Path) -> None:
    run = pfncache("export", "--promela", "-s", "clock/anon/munmap", "-o", str(tmp_path / "no" / "model.pml"))
    assert run.code == 2
    assert run.err.splitlines()[-1] == f"Error: cannot write {tmp_path}/no/model.pml: No such file or directory"


def test_a_format_is_required(pfncache: Command) -> None:
    run = pfncache("export", "-s", "clock/anon/munmap")
    assert run.code == 2
    assert run.err.splitlines()[-1] == "Error: Missing option '--promela' or '--tla'."
