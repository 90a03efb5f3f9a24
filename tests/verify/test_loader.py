# SPDX-License-Identifier: GPL-2.0-only
"""A user's file: the one design in it, or one line that says what is wrong, and where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pfncache.verify.loader import DesignFileError, load_design

IMPORT = "from pfncache.designs.catalogue import Patch, mainline_7_3\n"
PATCH = "class Mine(Patch):\n    '''KVM: do it.\n\n    And why.\n    '''\n"

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a file into the working directory; its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def make(text: str, name: str = "mine.py") -> str:
        (tmp_path / name).write_text(text)
        return name

    return make


def test_a_design_gets_its_variables_name_and_its_last_patchs_subject(write: Write) -> None:
    design = load_design(write(f"{IMPORT}{PATCH}my_design = mainline_7_3 + [Mine]\n"))
    assert (design.name, design.title) == ("my-design", "KVM: do it.")
    assert [patch.__name__ for patch in design.patches] == ["Mine"]


def test_a_design_without_patches_is_titled_by_its_variable(write: Write) -> None:
    assert load_design(write(f"{IMPORT}plain = mainline_7_3 + []\n")).title == "plain"


def test_designs_that_have_names_are_not_the_users(write: Write) -> None:
    text = f"{IMPORT}{PATCH}base = mainline_7_3.named('base', 'a base')\nmine = base + [Mine]\n"
    assert load_design(write(text)).name == "mine"


def test_an_absolute_path(write: Write, tmp_path: Path) -> None:
    write(f"{IMPORT}mine = mainline_7_3 + []\n")
    assert load_design(str(tmp_path / "mine.py")).name == "mine"


def test_the_file_is_read_each_time(write: Write) -> None:
    write(f"{IMPORT}one = mainline_7_3 + []\n")
    assert load_design("mine.py").name == "one"
    write(f"{IMPORT}another = mainline_7_3 + []\n")
    assert load_design("mine.py").name == "another"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = (\n", "mine.py:1: '(' was never closed"),
        ("\nx = 1 +\n", "mine.py:2: invalid syntax"),
        ("\n\n1 / 0\n", "mine.py:3: ZeroDivisionError: division by zero"),
        ("def f():\n    return x\n\nf()\n", "mine.py:2: NameError: name 'x' is not defined"),
        ("import no_such_module\n", "mine.py:1: ModuleNotFoundError: No module named 'no_such_module'"),
        ("import json\n\njson.loads('{')\n", "mine.py:3: JSONDecodeError: Expecting property name"),
        ("x = 1\n", "mine.py: makes no design; write e.g. `my_design = mainline_7_3 + [MyPatch]`"),
        (f"{IMPORT}x = mainline_7_3\n", "mine.py: makes no design; write e.g."),
        (
            f"{IMPORT}a = mainline_7_3 + []\nb = mainline_7_3 + []\n",
            "mine.py: makes 2 designs (a, b); keep one, or give each its own file",
        ),
        ("\n\neval('1 +')\n", "mine.py:3: SyntaxError: invalid syntax"),
        ("\nimport helper\n", "mine.py:2: SyntaxError: invalid syntax"),
    ],
)
def test_what_is_wrong(write: Write, text: str, message: str) -> None:
    write("a\nb\nc\nd = 1 +\n", "helper.py")
    with pytest.raises(DesignFileError) as error:
        load_design(write(text))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.py", "nowhere.py: no such file; give a Python file that makes a design, or a design's name"),
        (".", ".: no such file; give a Python file that makes a design, or a design's name"),
        ("notes.txt", "notes.txt: not a Python file"),
    ],
)
def test_no_python_file(write: Write, name: str, message: str) -> None:
    write("", "notes.txt")
    with pytest.raises(DesignFileError) as error:
        load_design(name)
    assert str(error.value) == message
