# SPDX-License-Identifier: GPL-2.0-only
"""Names of designs and scenarios, and what is searched by default."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfncache.designs.catalogue import DESIGNS, mainline_7_3
from pfncache.scenarios import DEFAULT_SCENARIOS, SCENARIOS
from pfncache.scenarios.space.arrays import covering, thorough
from pfncache.scenarios.space.names import SpaceScenario
from pfncache.verify.loader import UserFileError
from pfncache.verify.nearest import UnknownName
from pfncache.verify.selection import Extent, Selection, design_named, designs_named, searched

SCENARIO = (
    "from pfncache import scenario\n@scenario\ndef touch(w):\n"
    "    w.actor('t', w.call('do_user_addr_fault', w.mm, w.hva))\n"
)
DESIGN = "from pfncache.designs.catalogue import mainline_7_3\na = mainline_7_3 + []\nb = mainline_7_3 + []\n"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory has a file of scenarios, one of designs, and one of both."""
    monkeypatch.chdir(tmp_path)
    Path("scenarios.py").write_text(SCENARIO)
    Path("designs.py").write_text(DESIGN)
    Path("both.py").write_text(SCENARIO + DESIGN.replace("a =", "c =").replace("b =", "d ="))


def names(selection: Selection) -> tuple[list[str], list[str]]:
    return [d.name for d in selection.designs], [s.name for s in selection.scenarios]


@pytest.mark.usefixtures("files")
def test_designs_and_files() -> None:
    assert names(Selection.of(["rfc-v4", "rfc-v2", "rfc-v4"])) == (["rfc-v4", "rfc-v2"], [])
    assert names(Selection.of(["designs.py:b", "mainline-7.3", "scenarios.py"])) == (
        ["b", "mainline-7.3"], ["scenarios/touch"],
    )  # fmt: skip
    assert names(Selection.of(["both.py", "designs.py"])) == (["c", "d", "a", "b"], ["both/touch"])
    assert names(Selection.of(["both.py:c", "both.py:d"])) == (["c", "d"], ["both/touch"])
    assert names(Selection.of(["both.py:d", "both.py"])) == (["d", "c"], ["both/touch"])
    assert [d.name for d in designs_named(["both.py:d", "rfc-v4"])] == ["d", "rfc-v4"]


@pytest.mark.usefixtures("files")
def test_default_scenarios() -> None:
    default = list(DEFAULT_SCENARIOS)
    assert [s.name for s in Selection.of(["rfc-v4"]).scenarios_named(())] == default
    assert [s.name for s in Selection.of(["both.py"]).scenarios_named(())] == [*default, "both/touch"]
    assert [s.name for s in Selection.of(["rfc-v4", "scenarios.py"]).scenarios_named(())] == ["scenarios/touch"]


def names_of(*chosen: str, wanted: tuple[str, ...] = (), extent: Extent = Extent.COVERING) -> list[str]:
    return [scenario.name for scenario in Selection.of(chosen).scenarios_named(wanted, extent)]


@pytest.mark.usefixtures("files")
def test_the_array_of_the_space_is_searched_by_default() -> None:
    default, array = list(DEFAULT_SCENARIOS), [scenario.name for scenario in covering()]
    assert names_of("rfc-v4") == [*default, *array]
    assert names_of("both.py") == [*default, *array, "both/touch"]
    assert names_of("scenarios.py") == ["scenarios/touch"]
    assert names_of("rfc-v4", extent=Extent.THOROUGH) == [*default, *(scenario.name for scenario in thorough())]
    assert names_of("rfc-v4", wanted=("space/",)) == array
    assert names_of("rfc-v4", wanted=("space/",), extent=Extent.NAMED) == array
    assert names_of("rfc-v4", wanted=("space/",), extent=Extent.THOROUGH) == [s.name for s in thorough()]


@pytest.mark.usefixtures("files")
def test_a_file_may_have_a_space() -> None:
    space = "from pfncache import Space\nspace = Space(only={'memory': ['anon'], 'user': ['clock']})\n"
    Path("space.py").write_text(space)
    Path("more.py").write_text(DESIGN + space.replace("'clock'", "'guest'"))
    Path("two.py").write_text(space + "more = Space()\n")
    mine = names_of("mainline-7.3", "space.py")
    assert mine == [scenario.name for scenario in covering(Selection.of(["space.py"]).space)]
    assert {name.partition("+")[0] for name in mine} == {"space/anon/clock"}
    assert names_of("space.py", wanted=("space/anon/clock+munmap",)) == ["space/anon/clock+munmap"]
    assert names_of("space.py", wanted=("space/",)) == mine
    more = names_of("more.py")
    assert more[: len(DEFAULT_SCENARIOS)] == list(DEFAULT_SCENARIOS)
    assert {name.partition("+")[0] for name in more[len(DEFAULT_SCENARIOS) :]} == {"space/anon/guest"}
    with pytest.raises(UnknownName, match="user has no value 'walk'; it has clock"):
        names_of("space.py", wanted=("space/anon/walk+munmap",))
    with pytest.raises(UserFileError, match=r"^more\.py: another file has a space of scenarios too"):
        Selection.of(["space.py", "more.py"])
    with pytest.raises(UserFileError, match=r"^two\.py:3: a second space of scenarios; a file has one"):
        Selection.of(["two.py"])


@pytest.mark.parametrize(
    ("design", "expected"),
    [
        ("mainline-7.3", True),
        ("rfc-v4", True),
        ("no-direct-map", False),
        ("mainline-6.18", False),
        ("preempt-rt", False),
    ],
)
def test_designs_with_an_array(design: str, expected: bool) -> None:
    one = next(s for s in covering() if s.memory == "anon")
    assert isinstance(one, SpaceScenario)
    assert searched(DESIGNS[design], one, by_name=False) == expected
    assert searched(DESIGNS[design], one, by_name=True)
    assert searched((DESIGNS[design] + []).named("mine", ""), one, by_name=False)


@pytest.mark.usefixtures("files")
def test_scenarios_by_name() -> None:
    selection = Selection.of(["both.py"])
    assert [s.name for s in selection.scenarios_named(("both", "xen/irq-", "xen/irq-user"))] == [
        "both/touch", "xen/irq-user", "xen/irq-on-this-cpu", "xen/irq-during-invalidation",
    ]  # fmt: skip
    assert selection.scenario("clock/anon/munmap") is SCENARIOS["clock/anon/munmap"]
    with pytest.raises(UnknownName, match="no scenario 'both'; nearest: both/touch"):
        selection.scenario("both")
    with pytest.raises(UnknownName, match="no scenario 'scenarios/'"):
        selection.scenarios_named(("scenarios/",))


@pytest.mark.usefixtures("files")
def test_one_design() -> None:
    assert (design_named("rfc-v4"), Selection.of(["scenarios.py"]).design) == (DESIGNS["rfc-v4"], mainline_7_3)
    assert (design_named("both.py:c").name, Selection.of(["both.py:c"]).design.name) == ("c", "c")
    for name in ("designs.py", "both.py"):
        with pytest.raises(UserFileError, match="name one, as"):
            design_named(name)
        with pytest.raises(UserFileError, match="name one, as"):
            _ = Selection.of([name]).design
    with pytest.raises(UnknownName, match="no design 'rfc-v44'; nearest: rfc-v4"):
        design_named("rfc-v44")


def test_what_applies() -> None:
    """A kernel may lack the memory; a design with a known fault has its scenario, unless others are asked for."""
    own = Selection(()).scenarios_named(("gmem/dying-file", "clock/anon/munmap"))
    assert [searched(DESIGNS["mainline-6.12"], s, by_name=True) for s in own] == [False, True]
    assert [searched(DESIGNS["unbind-skips-dying"], s, by_name=False) for s in own] == [True, False]
    assert [searched(DESIGNS["unbind-skips-dying"], s, by_name=True) for s in own] == [True, True]


def test_any_scenario_of_the_space_has_a_name() -> None:
    name = "space/anon/clock+munmap/memslots=hole,pages=2"
    assert name not in SCENARIOS
    selection = Selection(())
    assert [s.name for s in selection.scenarios_named((name,))] == [name]
    assert selection.scenario("space/anon/clock+munmap/pages=2,memslots=hole").name == name


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("space/anon/clock+munmap/memslots=ten", "memslots has no value 'ten'; it has one, adjacent,"),
        ("space/anon/clock+punch", "no scenario has memory=anon, operation=punch: the operation does not exist"),
    ],
)
def test_a_name_that_no_scenario_of_the_space_has(name: str, line: str) -> None:
    for search in (lambda: Selection(()).scenarios_named((name,)), lambda: Selection(()).scenario(name)):
        with pytest.raises(UnknownName, match=f"^{line}"):
            search()
