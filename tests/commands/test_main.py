# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache`` itself, and ``pfncache list``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pfncache.designs.catalogue import DESIGNS
from pfncache.footprint.guests import GUESTS
from pfncache.properties import PROPERTIES
from pfncache.scenarios import SCENARIOS
from pfncache.scenarios.space.space import DIMENSIONS
from pfncache.selftests import SELFTESTS
from tests.conftest import Run

Command = Callable[..., Run]


def test_version(pfncache: Command) -> None:
    import pfncache as package

    assert pfncache("--version").out == f"pfncache, version {package.__version__}\n"


@pytest.mark.parametrize("verb", ["verify", "sweep", "report", "export", "list"])
def test_help_of_a_verb_imports_nothing_heavy(verb: str) -> None:
    code = f"import sys; from pfncache.commands.main import main; main(['{verb}', '--help'], standalone_mode=False); "
    code += "sys.exit(any(m in sys.modules for m in ('numba', 'numpy', 'rich', 'greenlet', 'pfncache.linux.vmlinux')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.splitlines()[0].split()[:2]) == (0, ["Usage:", "-c"]), done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("verify", "rfc-v5"), ("verify", "-s", "xen/hatl"), ("verify", "nowhere.py"), ("sweep", "rfc-v5"),
        ("sweep", "--memory", "gem"), ("export", "rfc-v5", "--promela", "-s", "xen/halt"),
    ],
)  # fmt: skip
def test_a_usage_error_is_found_before_anything_heavy_is_imported(arguments: tuple[str, ...]) -> None:
    code = f"import sys; from pfncache.commands.main import main; main({arguments}, standalone_mode=False)"
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=False)
    assert "click.exceptions.UsageError: " in done.stderr
    assert "| numba" not in done.stderr


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("pfncache verify mainline-7.", ["mainline-7.3", "mainline-7.2"]),
        ("pfncache verify -s xen/irq", ["xen/irq-user", "xen/irq-on-this-cpu", "xen/irq-during-invalidation"]),
        ("pfncache export -s pairs/anon/munmap+munm", ["pairs/anon/munmap+munmap"]),
        ("pfncache verify -s space/anon/clock+mu", ["space/anon/clock+munmap"]),
        ("pfncache sweep --memory gmem-c", ["gmem-coco"]),
        ("pfncache list prop", ["properties"]),
        ("pfncache verify mi", ["mi"]),
    ],
)
def test_shell_completion(words: str, found: list[str]) -> None:
    """As bash asks for it; a word that begins no design is completed as a file."""
    number = len(words.split()) - 1
    env = os.environ | {"_PFNCACHE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(number)}
    call = "import sys; from pfncache.commands.main import main; main(prog_name='pfncache')"
    done = subprocess.run(
        [sys.executable, "-c", call], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert [line.partition(",")[2] for line in done.stdout.splitlines()] == found
    assert {line.partition(",")[0] for line in done.stdout.splitlines()} == {"file" if found == ["mi"] else "plain"}


def test_lists_of_a_file(pfncache: Command, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from pfncache import designs, scenario\nmy_design = designs['rfc-v4'] + []\n"
        "@scenario('name', 'what it does')\ndef f(w): ...\n"
    )
    assert (
        pfncache("list", "designs", str(file)).out
        == "my-design  KVM: pfncache: Invalidate on gmem invalidation and memattr updates (RFC v4 5/7).\n"
    )
    assert pfncache("list", "scenarios", str(file)).out == "mine/name  what it does\n"
    run = pfncache("list", "properties", str(file))
    assert (run.code, run.err.splitlines()[-1]) == (2, "Error: a file defines no properties")


def test_help_does_not_load_the_engine() -> None:
    code = "import sys; from pfncache.commands.main import main; main(['--help'], standalone_mode=False); "
    code += "sys.exit('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert "verify" in done.stdout


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("designs", list(DESIGNS)),
        ("scenarios", list(SCENARIOS)),
        ("dimensions", [name for one in DIMENSIONS for name in (one.name, *one.names)]),
        ("properties", list(PROPERTIES)),
        ("guests", list(GUESTS)),
        ("selftests", list(SELFTESTS)),
    ],
)
def test_list(pfncache: Command, kind: str, names: list[str]) -> None:
    run = pfncache("list", kind)
    assert run.code == 0
    assert [line.split()[0] for line in run.out.splitlines()] == names
    assert all(len(line.split(maxsplit=1)) == 2 for line in run.out.splitlines()), "each has a line of text"
