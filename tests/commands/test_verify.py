# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache verify``: exit codes, what it prints, and what becomes of bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import PFNCACHE, Run

Command = Callable[..., Run]
HOLDS = ("verify", "mainline-7.3", "-s", "clock/anon/munmap")
VIOLATED = ("verify", "rfc-v4-on-7.3", "-s", "clock/gmem-unmapped/punch")

DESIGN = """
from pfncache.linux.virt.kvm.pfncache import Pfncache
from pfncache.designs.design import Patch
from pfncache.designs.catalogue import mainline_7_3


class MyPatch(Patch, Pfncache):
    '''KVM: pfncache: something.'''

    def may_keep_pfn(self, gpc, hva_change):
        {body}


my_design = mainline_7_3 + [MyPatch]
"""


def test_design_that_holds(pfncache: Command) -> None:
    run = pfncache(*HOLDS)
    assert run.code == 0
    assert "every interleaving of 1 scenario:" in run.out
    assert "holds" in run.out


def test_design_that_breaks(pfncache: Command) -> None:
    run = pfncache(*VIOLATED)
    assert run.code == 1
    assert "use-after-free in clock/gmem-unmapped/punch, the shortest interleaving:" in run.out
    assert "CPU0: vcpu" in run.out
    assert "=> " in run.out
    assert "virt/kvm/pfncache.py:" in run.out


def test_json(pfncache: Command) -> None:
    run = pfncache(*VIOLATED, "--json")
    assert run.code == 1
    document = run.document
    assert (document["schema"], document["status"], document["error"]) == (2, 1, None)
    assert document["options"] == {
        "designs": ["rfc-v4-on-7.3"], "scenarios": ["clock/gmem-unmapped/punch"], "all": False, "each_patch": False,
        "absolute": False, "coverage": False, "max_states": 20_000_000, "no_reduction": False, "first": False,
        "budget": 0.0, "minimise": False, "thorough": False,
        "jobs": None, "series": None, "base": None, "tree": None, "range": None,
    }  # fmt: skip
    (design,) = document["designs"]
    assert (design["design"], design["base"], design["verdict"]) == ("rfc-v4-on-7.3", "no-direct-map", "violated")
    (scenario,) = design["scenarios"]
    assert (scenario["scenario"], scenario["cured"]) == ("clock/gmem-unmapped/punch", [])
    assert scenario["states"] > 100
    assert scenario["transitions"] > scenario["states"] / 2
    assert "punch" in scenario["bounds"]
    violation = scenario["violations"][0]
    assert (violation["property"], violation["against_base"]) == ("use-after-free", "new")
    assert violation["place"].startswith("kvm_setup_guest_pvclock() arch/x86/kvm/x86/clock.py:")
    for step in violation["trace"]:
        assert set(step) == {"cpu", "actor", "function", "source", "text", "changes"}
    assert violation["trace"][-1]["actor"] == "vcpu"


def test_each_patch(pfncache: Command) -> None:
    run = pfncache("verify", "rfc-v4", "--each-patch", "-s", "clock/gmem-unmapped/punch", "--json")
    names = [d["design"] for d in run.document["designs"]]
    assert names == [f"rfc-v4:{n}/5" for n in range(1, 6)]
    verdicts = [d["verdict"] for d in run.document["designs"]]
    assert verdicts == ["violated", "violated", "violated", "violated", "holds"]


def test_scenarios_by_their_beginning(pfncache: Command) -> None:
    run = pfncache("verify", "mainline-7.3", "-s", "clock/anon/m", "--json")
    assert [s["scenario"] for s in run.document["designs"][0]["scenarios"]] == [
        "clock/anon/munmap", "clock/anon/mprotect", "clock/anon/mremap", "clock/anon/migrate", "clock/anon/map-over",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("verify", "rfc-v5"), "no design 'rfc-v5'; nearest: rfc-v"),
        (
            ("verify", "mainline-7.3", "-s", "clock/anon/munmpa"),
            "no scenario 'clock/anon/munmpa'; nearest: clock/anon/munmap",
        ),
        (("verify", "nowhere.py"), "nowhere.py: no such file"),
        (("verify", "mainline-7.3", "--max-states", "3"), "3 is not in the range x>=1000"),
        (("list", "design"), "no list 'design'; nearest: designs"),
        (("verfy",), "No such command 'verfy'"),
    ],
)
def test_usage(pfncache: Command, arguments: tuple[str, ...], message: str) -> None:
    run = pfncache(*arguments)
    assert run.code == 2
    assert message in run.err
    assert "Traceback" not in run.err


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("def broken(:\n    pass\n", ":1: invalid syntax"),
        ("x = 1\n", ": defines no design and no scenario; write e.g. `my_design = mainline_7_3 + [MyPatch]`"),
        (
            "from pfncache.designs.catalogue import mainline_7_4\n",
            ":1: pfncache.designs.catalogue has no 'mainline_7_4'; nearest: mainline_7_3",
        ),
        (DESIGN.format(body="return [x for x in (1, 2)]"), ":11: a list comprehension is not in the model's language"),
        (DESIGN.format(body="return gpc.colour == 1"), ":11: GfnToPfnCache has no member 'colour'"),
        (DESIGN.format(body="return self.no_such_function(gpc)"), ":11: "),
    ],
)
def test_bad_file(pfncache: Command, tmp_path: Path, text: str, where: str) -> None:
    """One line with file and line, what it is and what to write instead; no traceback."""
    path = tmp_path / "mine.py"
    path.write_text(text)
    run = pfncache("verify", str(path), "-s", "clock/anon/munmap")
    assert run.code == 2
    (line,) = [line for line in run.err.splitlines() if line.startswith("Error:")]
    assert f"mine.py{where}" in line
    assert "Traceback" not in run.err


def test_own_design(pfncache: Command, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(DESIGN.format(body="return True"))
    run = pfncache("verify", str(path), "-s", "clock/anon/munmap", "--json")
    assert run.document["designs"][0]["design"] == "my-design"
    assert run.document["designs"][0]["verdict"] == "violated"


OWN = """
from pfncache import scenario
from pfncache.designs.catalogue import mainline_7_3, rfc_v4_on_7_3

one = mainline_7_3 + []
two = (rfc_v4_on_7_3 + []).named("the-other", "RFC v4 once more")


@scenario
def unmapped(w):
    '''The clock's page is unmapped.'''
    w.clock_on()
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("munmap", w.call({function!r}, w.mm, w.hva))
"""


def _verdicts(run: Run) -> list[tuple[str, list[tuple[str, str]]]]:
    return [(d["design"], [(s["scenario"], s["verdict"]) for s in d["scenarios"]]) for d in run.document["designs"]]


def test_own_designs_and_scenarios(pfncache: Command, tmp_path: Path) -> None:
    """All of them, or one of each by its name; beside the catalogue's."""
    path = tmp_path / "mine.py"
    path.write_text(OWN.format(function="vm_munmap"))
    both = pfncache("verify", str(path), "-s", "mine/", "--json")
    assert (both.code, _verdicts(both)) == (
        1, [("one", [("mine/unmapped", "holds")]), ("the-other", [("mine/unmapped", "violated")])],
    )  # fmt: skip
    one = pfncache("verify", f"{path}:one", "mainline-7.2", "-s", "mine/unmapped", "-s", "clock/anon/touch", "--json")
    assert (one.code, [name for name, _ in _verdicts(one)]) == (0, ["one", "mainline-7.2"])
    assert [name for name, _ in _verdicts(one)[0][1]] == ["mine/unmapped", "clock/anon/touch"]


def test_a_file_of_scenarios_alone(pfncache: Command, tmp_path: Path) -> None:
    """Its scenarios are all that is searched, under the designs that are named."""
    path = tmp_path / "mine.py"
    path.write_text("\n".join(line for line in OWN.format(function="vm_munmap").splitlines() if " + []" not in line))
    run = pfncache("verify", "mainline-7.3", "no-active-count", str(path), "--json")
    assert _verdicts(run) == [
        ("mainline-7.3", [("mine/unmapped", "holds")]), ("no-active-count", [("mine/unmapped", "violated")]),
    ]  # fmt: skip


def test_a_mistake_in_an_own_scenario(pfncache: Command, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(OWN.format(function="vm_mumap"))
    run = pfncache("verify", str(path), "-s", "mine/")
    assert (run.code, run.err.splitlines()[-1]) == (
        2,
        "Error: mine.py:14: AttributeError: the kernel has no function 'vm_mumap'; nearest: "
        "vm_munmap, do_vmi_munmap, memunmap",
    )
    path.write_text(OWN.format(function="vm_mumap").replace("    w.", "    # w."))
    run = pfncache("verify", str(path), "-s", "mine/")
    assert (run.code, run.err.splitlines()[-1]) == (2, "Error: mine.py:9: mine/unmapped declares no actor")


def test_two_designs_of_one_name(pfncache: Command, tmp_path: Path) -> None:
    """Each has its file as a prefix: the stem, or where that is the same, the path."""
    for name in ("a/mine.py", "b/mine.py", "other.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("from pfncache.designs.catalogue import *\nd = mainline_7_3 + []\n")
    files = [str(tmp_path / name) for name in ("a/mine.py", "b/mine.py", "other.py")]
    run = pfncache("verify", *files, "-s", "clock/anon/touch", "--json")
    assert [name for name, _ in _verdicts(run)] == [f"{files[0]}:d", f"{files[1]}:d", "other:d"]
    again = str(tmp_path / "a" / ".." / "a" / "mine.py")
    twice = pfncache("verify", files[0], again, "-s", "clock/anon/touch", "--json")
    assert (twice.code, _verdicts(twice)) == (0, [("d", [("clock/anon/touch", "holds")])])


def test_limit_is_bounded(pfncache: Command) -> None:
    run = pfncache(
        "verify", "mainline-7.3", "-s", "xen/two-senders", "--no-reduction", "--max-states", "1000", "--json"
    )
    assert run.code == 3
    assert run.document["designs"][0]["verdict"] == "incomplete"
    (scenario,) = run.document["designs"][0]["scenarios"]
    assert scenario["verdict"] == "bounded"
    assert scenario["reason"] == "the limit of 1,000 states"


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupt_reports_what_was_covered(number: signal.Signals, status: int) -> None:
    """Ctrl-C and SIGTERM: a report in which the rest is bounded, and no child left behind."""
    process = subprocess.Popen(
        [*PFNCACHE, "verify", "mainline-7.3", "-s", "pairs/", "--no-reduction", "--json"],  # minutes
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        time.sleep(6)
        os.killpg(process.pid, number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == status
    assert json.loads(out)["status"] == status
    assert "Traceback" not in err
    assert '"verdict": "bounded"' in out
    assert '"reason": "interrupted before it was searched"' in out
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
