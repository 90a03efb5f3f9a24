# SPDX-License-Identifier: GPL-2.0-only
"""A user's file: the designs and scenarios in it, or one line that says what is wrong, and where."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pfncache.designs.catalogue import mainline_7_3, rfc_v4_on_7_3
from pfncache.verify.job import Job
from pfncache.verify.loader import UserFileError, load, load_design, load_designs
from pfncache.verify.nearest import UnknownName
from pfncache.verify.runner import run

IMPORT = "from pfncache.designs.catalogue import Patch, mainline_7_3\n"
PATCH = "class Mine(Patch):\n    '''KVM: do it.\n\n    And why.\n    '''\n    changes_nothing = 'a test'\n"
SCENARIO = '''from pfncache import MemoryKind, scenario


@scenario(memory=MemoryKind.GMEM_MMAP)
def punch_twice(w):
    """The clock is punched twice.

    And so on.
    """
    w.clock_on()
    punch = w.call("kvm_gmem_punch_hole", w.gmem, 0, 1)
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("punch", punch, punch)


@scenario("other-name", "something else", slots=2)
def f(w):
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))
'''

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a file into the working directory; its name."""
    monkeypatch.chdir(tmp_path)

    def make(text: str, name: str = "mine.py") -> str:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        return name

    return make


def test_a_design_gets_its_variables_name_and_its_last_patchs_subject(write: Write) -> None:
    design = load_design(write(f"{IMPORT}{PATCH}my_design = mainline_7_3 + [Mine]\n"))
    assert (design.name, design.title) == ("my-design", "KVM: do it.")
    assert [patch.__name__ for patch in design.patches] == ["Mine"]


RECORD = (
    IMPORT
    + """from pfncache import scenario
from pfncache.lang.records import Record
from pfncache.linux.vmlinux import Vmlinux

class Mine(Record):
    {member}: bool

class Count(Patch, Vmlinux):
    def sys_mine(self, mine: Mine) -> bool:
        mine.{member} = True
        return mine.{member}

@scenario
def alone(w):
    w.actor("a", w.call("sys_mine", Mine("mine")))

{member} = mainline_7_3 + [Count]
"""
)


def test_records_of_one_name_in_two_files(write: Write) -> None:
    files = [load(write(RECORD.format(member=name), f"{name}.py")) for name in ("one", "two")]
    for file in files:
        outcome = run(Job(file.designs[0], file.scenarios[0], 1_000))
        assert (outcome.verdict, outcome.states) == ("holds", 2), outcome.reason


def test_a_design_without_patches_is_titled_by_its_variable(write: Write) -> None:
    assert load_design(write(f"{IMPORT}plain = mainline_7_3 + []\n")).title == "plain"


def test_several_designs_and_their_names(write: Write) -> None:
    """An explicit name wins. What is imported, begins with an underscore, or has a name already is no other design."""
    text = f"from pfncache.designs.catalogue import rfc_v4\n{IMPORT}{PATCH}plain = mainline_7_3\n"
    text += (
        "base_line = mainline_7_3.named('base', 'a base')\n_step = base_line + [Mine]\nmine = _step + []\nsame = mine\n"
    )
    found = load_designs(write(text))
    assert [(d.name, d.title) for d in found] == [("base", "a base"), ("mine", "KVM: do it.")]
    assert load_design("mine.py:mine").name == "mine"


def test_one_of_several_has_to_be_named(write: Write) -> None:
    write(f"{IMPORT}a = mainline_7_3 + []\nb = mainline_7_3 + []\n")
    with pytest.raises(UserFileError, match=re.escape("mine.py: defines 2 designs (a, b); name one, as mine.py:a")):
        load_design("mine.py")
    assert [d.name for d in (load_design("mine.py:b"), *load_designs("mine.py:b"))] == ["b", "b"]
    with pytest.raises(UnknownName, match=r"mine\.py: no design 'bb'; nearest: b"):
        load_design("mine.py:bb")


def test_scenarios_are_named_by_the_file(write: Write) -> None:
    file = load(write(SCENARIO, "own_file.py"))
    punch, other = file.scenarios
    assert file.designs == ()
    assert (punch.name, punch.hazard, punch.memory) == (
        "own-file/punch-twice", "The clock is punched twice.", "gmem-mmap",
    )  # fmt: skip
    assert (other.name, other.hazard, other.memory) == ("own-file/other-name", "something else", "anon")
    outcome = run(Job(mainline_7_3, punch, 100_000))
    assert (outcome.scenario, outcome.verdict) == ("own-file/punch-twice", "holds")
    assert outcome.bounds == "vcpu: clock_update | punch: punch_hole x2; 3 pages"
    assert run(Job(rfc_v4_on_7_3, punch, 100_000)).property == "use-after-free"


def test_modules_beside_the_file(write: Write, tmp_path: Path) -> None:
    """Each file imports those of its own folder, as they are now."""
    mine = f"{IMPORT}import beside\nd = (mainline_7_3 + []).named(f'v{{beside.VALUE}}', 't')\n"
    for folder, value in (("one", 1), ("two", 2)):
        write(f"VALUE = {value}\n", f"{folder}/beside.py")
        write(mine, f"{folder}/mine.py")
    names = [load_design(f"{folder}/mine.py").name for folder in ("one", "two", "one")]
    write("VALUE = 1000\n", "one/beside.py")
    assert [*names, load_design("one/mine.py").name] == ["v1", "v2", "v1", "v1000"]
    assert str(tmp_path / "one") not in sys.path


def test_two_files_of_one_name_are_two(write: Write) -> None:
    for folder in ("one", "two"):
        text = f"class Other(Mine):\n    '''{folder}.'''\n    changes_nothing = 'a test'\nd = mainline_7_3 + [Other]\n"
        write(f"{IMPORT}{PATCH}{text}", f"{folder}/mine.py")
    first, second = (load_design(f"{folder}/mine.py") for folder in ("one", "two"))
    assert (first.title, second.title) == ("one.", "two.")
    assert first.patches[0].__module__ != second.patches[0].__module__


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "mine.py", f"{IMPORT}\nd = (mainline_7_3 + []).named('rfc-v4', 't')\n",
            "mine.py:3: the catalogue has a design 'rfc-v4'; give another name",
        ),
        (
            "mine.py", f"{IMPORT}a_b = mainline_7_3 + []\nd = a_b.named('a-b', 't')\n",
            "mine.py:3: a second design 'a-b'; give another name",
        ),
        (
            "gmem.py", SCENARIO.replace("punch_twice", "dying_file"),
            "gmem.py:5: the catalogue has a scenario 'gmem/dying-file'; rename the function or the file",
        ),
        (
            "mine.py", SCENARIO.replace("other-name", "punch_twice"),
            "mine.py:17: a second scenario 'mine/punch-twice'; rename the function",
        ),
    ],
)  # fmt: skip
def test_names_that_are_taken(write: Write, name: str, text: str, message: str) -> None:
    with pytest.raises(UserFileError) as error:
        load(write(text, name))
    assert str(error.value) == message


def test_an_absolute_path(write: Write, tmp_path: Path) -> None:
    write(f"{IMPORT}mine = mainline_7_3 + []\n")
    assert load_design(str(tmp_path / "mine.py")).name == "mine"


def test_the_file_is_read_each_time(write: Write) -> None:
    write(f"{IMPORT}one = mainline_7_3 + []\n")
    assert load_design("mine.py").name == "one"
    write(f"{IMPORT}another = mainline_7_3 + []\n")
    assert load_design("mine.py").name == "another"


NOTHING = "mine.py: defines no design and no scenario; write e.g. `my_design = mainline_7_3 + [MyPatch]`"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = (\n", "mine.py:1: '(' was never closed"),
        ("\nx = 1 +\n", "mine.py:2: invalid syntax"),
        ("\n\n1 / 0\n", "mine.py:3: ZeroDivisionError: division by zero"),
        ("def f():\n    return x\n\nf()\n", "mine.py:2: NameError: name 'x' is not defined"),
        ("import no_such_module\n", "mine.py:1: ModuleNotFoundError: No module named 'no_such_module'"),
        ("import json\n\njson.loads('{')\n", "mine.py:3: JSONDecodeError: Expecting property name"),
        ("x = 1\n", NOTHING),
        (f"{IMPORT}x = mainline_7_3\n", NOTHING),
        (SCENARIO, "mine.py: defines no design; write e.g. `my_design = mainline_7_3 + [MyPatch]`"),
        ("\n\neval('1 +')\n", "mine.py:3: SyntaxError: invalid syntax"),
        ("\nimport helper\n", "mine.py:2: SyntaxError: invalid syntax"),
        ("from pfncache import scenario\n\n@scenario(slot=2)\ndef f(w): ...\n", "mine.py:3: TypeError: "),
    ],
)
def test_what_is_wrong(write: Write, text: str, message: str) -> None:
    write("a\nb\nc\nd = 1 +\n", "helper.py")
    with pytest.raises(UserFileError) as error:
        load_design(write(text))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.py", "nowhere.py: no such file; give a Python file, or the name of a design"),
        (".", ".: is a directory; give a Python file, or the name of a design"),
        ("notes.txt", "notes.txt: not a Python file"),
    ],
)
def test_no_python_file(write: Write, name: str, message: str) -> None:
    write("", "notes.txt")
    with pytest.raises(UserFileError) as error:
        load_design(name)
    assert str(error.value) == message
