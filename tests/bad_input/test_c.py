# SPDX-License-Identifier: GPL-2.0-only
"""Users' files that are wrong: each is a usage error of one line, with the file and the line, and no traceback."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pfncache.designs.catalogue import DESIGNS, mainline_7_3
from pfncache.designs.patch_check import check_design
from pfncache.linux.vmlinux import Vmlinux
from pfncache.verify import loader
from pfncache.verify.loader import UserFileError, load
from pfncache.verify.user_code import TimeLimit, user_code
from tests.bad_input.rows_files import COMPILED, FILES, SCENARIOS
from tests.bad_input.rows_patches import HEAD, NO_DESIGN, NOTHING_PATCHED, Row, patch
from tests.conftest import Call

USAGE = 2
SCENARIO = ("-s", "clock/anon/munmap")
CHECK = ("def kvm_gpc_check(self, gpc, length):", "    return True")
GOOD = patch(*CHECK)

Write = Callable[[str | bytes], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write mine.py into the working directory; its name. Time limits are short."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pfncache.verify.loader.LOAD_SECONDS", 0.5)
    monkeypatch.setattr("pfncache.verify.systems.SETUP_SECONDS", 0.5)

    def make(text: str | bytes) -> str:
        Path("mine.py").write_bytes(text.encode() if isinstance(text, str) else text)
        return "mine.py"

    return make


def shown(rows: tuple[Row, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("text", "line"), [pytest.param(text, line, id=name) for name, text, line in rows])


def require_one_line(pfncache: Call, line: str, *options: str) -> None:
    """Call verify, which must print nothing but the error."""
    done = pfncache("verify", "mine.py", "--jobs", "1", *options)
    errors = [text for text in done.err.splitlines() if text.startswith("Error: ")]
    assert (done.code, done.out, len(errors)) == (USAGE, "", 1), done.err
    assert errors[0].startswith(f"Error: {line}")
    assert done.err.endswith(f"{errors[0]}\n")
    assert "Traceback" not in done.err


def test_every_row_has_a_name_and_a_line() -> None:
    for rows in (NOTHING_PATCHED, NO_DESIGN, FILES, SCENARIOS, COMPILED):
        assert len({name for name, _, _ in rows}) == len(rows)
        assert all(line.startswith("mine.py:") for _, _, line in rows)
    assert sum(map(len, (NOTHING_PATCHED, NO_DESIGN, FILES, SCENARIOS, COMPILED))) >= 160


@shown((*NOTHING_PATCHED, *NO_DESIGN, *FILES))
def test_a_file_that_does_not_load(pfncache: Call, write: Write, text: str, line: str) -> None:
    write(text)
    require_one_line(pfncache, line, *SCENARIO)


@shown(SCENARIOS)
def test_a_scenario_that_is_none(pfncache: Call, write: Write, text: str, line: str) -> None:
    write(text)
    require_one_line(pfncache, line)


@shown(COMPILED)
def test_a_function_that_is_not_compiled(pfncache: Call, write: Write, text: str, line: str) -> None:
    write(text)
    require_one_line(pfncache, line, *SCENARIO)


@pytest.mark.parametrize("name", DESIGNS)
def test_every_design_of_the_catalogue_changes_what_it_names(name: str) -> None:
    check_design(DESIGNS[name])


@pytest.mark.parametrize(
    "text",
    [
        patch("def kvm_gpc_check(self, gpc, length): return self.helper(gpc)", "def helper(self, gpc): return True"),
        patch(*CHECK, "def helper(self): return True", tail="used = 'helper'\nmine = mainline_7_3 + [Mine]\n"),
        patch("def kvm_gpc_check(self, gpc, length, more=0): return True"),
        patch("changes_nothing = 'a rename'"),
        HEAD + "class Mine(Patch):\n    '''   '''\n    changes_nothing = 'a rename'\nmine = mainline_7_3 + [Mine]\n",
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        "# -*- coding: latin-1 -*-\n" + GOOD,
        "import os\nos.remove(__file__)\n" + GOOD,
        "import numba\n" + GOOD,
        "import os\nos.chdir('/')\n" + GOOD,
        "try:\n    import sys\n    sys.exit()\nexcept SystemExit:\n    pass\n" + GOOD,
    ],
    ids=[
        "helper", "helper-of-a-scenario", "default", "rename", "blank-docstring", "bom", "crlf",
        "coding", "removes-itself", "numba", "chdir", "exit-caught",
    ],
)  # fmt: skip
def test_what_is_right(write: Write, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("pfncache.verify.loader.LOAD_SECONDS", 60.0)
    here = os.getcwd()
    (design,) = load(write(text)).designs
    assert design.name == "mine"
    assert (os.getcwd(), design.base) == (here, mainline_7_3)


def test_a_file_that_removes_itself_is_searched(pfncache: Call, write: Write) -> None:
    check = patch("def kvm_gpc_check(self, gpc, length): return super().kvm_gpc_check(gpc, length)")
    write("import os\nos.remove(__file__)\n" + check)
    done = pfncache("verify", "mine.py", "--jobs", "1", *SCENARIO)
    assert done.code == 0
    assert not Path("mine.py").exists()


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"x = 1\ny = '\xff'\n", "mine.py:2: is not UTF-8 text: byte 0xff"),
        ("x = 1\n".encode("utf-16"), "mine.py:1: "),
        (b"# coding: no-such\n", "mine.py:1: unknown encoding"),
        (b"\x7fELF\0\0", "mine.py:1: is no text: it has a null byte"),
        (b"#" * (loader.MAX_FILE_BYTES + 1), "mine.py: has 4,000,001 bytes; at most 4,000,000 are read"),
    ],
    ids=["latin-1", "utf-16", "coding", "binary", "huge"],
)
def test_what_is_no_text(pfncache: Call, write: Write, content: bytes, line: str) -> None:
    write(content)
    require_one_line(pfncache, line)


def test_what_is_no_file(pfncache: Call, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    for make, line in (
        (os.mkdir, "mine.py: is a directory; give a Python file, or the name of a design"),
        (os.mkfifo, "mine.py: is no regular file; give a Python file, or the name of a design"),
    ):
        make("mine.py")
        require_one_line(pfncache, line)
        os.rmdir("mine.py") if stat.S_ISDIR(os.stat("mine.py").st_mode) else os.remove("mine.py")
    require_one_line(pfncache, "mine.py: no such file; give a Python file, or the name of a design")
    os.symlink("mine.py", "mine.py")
    require_one_line(pfncache, "mine.py: cannot be read: Too many levels of symbolic links")
    os.remove("mine.py")
    write(GOOD)

    def denied(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    require_one_line(pfncache, "mine.py: cannot be read: Permission denied")


PRINTS = "print('by print')\nimport os\nos.write(1, b'by write')\nos.system('echo by a child')\n"


def test_what_a_file_prints_is_not_on_standard_output(write: Write, capfd: pytest.CaptureFixture[str]) -> None:
    """Not even what it writes to the descriptor, or a child does: ``--json`` is one document."""
    load(write(PRINTS + GOOD))
    print("ours")
    out, err = capfd.readouterr()
    assert out == "ours\n"
    for text in ("by print", "by write", "by a child"):
        assert text in err


def test_what_a_set_up_prints_is_not_on_standard_output(pfncache: Call, write: Write) -> None:
    text = "from pfncache import scenario\n@scenario\ndef mine(w):\n    print('by a set-up')\n    w.clock_on()\n"
    write(text + "    w.actor('vcpu', w.call('run_clock_update', w.vcpu))\n")
    done = pfncache("verify", "mainline-7.3", "mine.py", "--jobs", "1", "--json")
    assert done.document["designs"][0]["design"] == "mainline-7.3"
    assert "by a set-up" in done.err


def test_the_model_is_as_it_was_after_a_file_that_changes_it(write: Write) -> None:
    before = vars(Vmlinux.__mro__[1]).copy()
    text = "from pfncache.linux.virt.kvm.pfncache import Pfncache\ndel Pfncache.kvm_gpc_check\nPfncache.more = print\n"
    with pytest.raises(UserFileError, match=r"mine\.py:2: changes Pfncache\.kvm_gpc_check of the model"):
        load(write(text + GOOD))
    assert vars(Vmlinux.__mro__[1]) == before
    assert Vmlinux.kvm_gpc_check.__name__ == "kvm_gpc_check"
    assert not hasattr(Vmlinux, "more")
    load(write(GOOD))


def test_two_files_of_one_stem(pfncache: Call, write: Write) -> None:
    """A file that is wrong is named as the user named it."""
    for folder, text in (("one", GOOD), ("two", patch("def kvm_gpc_chekc(self): return 0"))):
        os.mkdir(folder)
        Path(folder, "mine.py").write_text(text)
    done = pfncache("verify", "one/mine.py", "two/mine.py")
    assert done.code == USAGE
    assert "Error: two/mine.py:4: Mine: kvm_gpc_chekc replaces nothing" in done.err


def test_code_that_catches_every_exception_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[int] = []
    monkeypatch.setattr("pfncache.verify.user_code._exit", ends.append)
    monkeypatch.setattr("pfncache.verify.user_code.MAX_RINGS", 2)
    monkeypatch.setattr("pfncache.verify.user_code.RING_INTERVAL", 0.2)
    with user_code(0.2, "the file"):
        for _ in range(3):
            with contextlib.suppress(BaseException):
                time.sleep(10)
    assert ends == [2]


def test_a_time_limit_ends_with_its_block() -> None:
    with pytest.raises(TimeLimit, match=r"the file does not end within 0\.01 s"), user_code(0.01, "the file"):
        while True:
            pass
    with user_code(60, "the file"):
        pass
