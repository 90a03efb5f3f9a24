# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache verify``: no answer misleads, and with --json every end has one document."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

from tests.conftest import Run
from tools.console import ROOT

Command = Callable[..., Run]
SCHEMA = json.loads((ROOT / "docs" / "reference" / "verify.schema.json").read_text())


def document(run: Run) -> dict[str, object]:
    """Standard output as a document of the schema."""
    found: dict[str, object] = run.document
    jsonschema.validate(found, SCHEMA, format_checker=jsonschema.FormatChecker())
    return found


@pytest.mark.parametrize(
    ("wanted", "code", "verdicts"),
    [
        (("clock/gmem-ndm/munmap",), 3, {"not-applicable": 1}),
        (("clock/gmem-ndm/munmap", "clock/anon/touch"), 3, {"holds": 1, "not-applicable": 1}),
        (("clock/gmem-ndm/", "clock/anon/touch"), 3, {"holds": 1, "not-applicable": 18}),
        (("gmem/unmapped-punch",), 3, {"not-applicable": 1}),
        (("clock/anon/to",), 0, {"holds": 1}),
    ],
)
def test_nothing_searched_is_not_holds(
    pfncache: Command, wanted: tuple[str, ...], code: int, verdicts: dict[str, int]
) -> None:
    run = pfncache("verify", "mainline-6.12", *(word for name in wanted for word in ("-s", name)), "--json")
    document(run)
    (design,) = run.document["designs"]
    assert (run.code, Counter(s["verdict"] for s in design["scenarios"])) == (code, verdicts)
    assert design["verdict"] == ("incomplete" if code else "holds")


def test_a_line_says_why_nothing_was_searched(pfncache: Command) -> None:
    run = pfncache("verify", "mainline-6.12", "-s", "clock/gmem-ndm/munmap")
    assert "│ not-applicable │ mainline-6.12 has no memory of the kind gmem-ndm │" in run.out
    assert run.out.splitlines()[-1].startswith("1 scenario not applicable: 0 states in ")


ON_MAINLINE = '''
from pfncache import Patch, designs
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache
from pfncache.linux.virt.kvm.pfncache import Pfncache


class Mine(Patch, Pfncache):
    """KVM: pfncache: something."""

    def may_keep_pfn(self, gpc: GfnToPfnCache, hva_change: bool) -> bool:
        return {result}


mine = designs["mainline-7.3"] + [Mine]
'''
RIGHT, WRONG = "super().may_keep_pfn(gpc, hva_change)", "True"


@pytest.fixture
def mine(tmp_path: Path) -> Callable[[str], str]:
    """Write a file with a design on mainline; returns its name."""

    def write(result: str) -> str:
        (tmp_path / "mine.py").write_text(ON_MAINLINE.format(result=result))
        return str(tmp_path / "mine.py")

    return write


def test_a_right_patch_on_mainline(pfncache: Command, mine: Callable[[str], str]) -> None:
    """What mainline violates too is counted, and is no failure unless it is asked for."""
    call = ("verify", mine(RIGHT), "-s", "xen/process-exit", "-s", "xen/halt")
    run = pfncache(*call)
    assert (run.code, "mine against mainline-7.3: nothing new, 2 unchanged, 0 cured" in run.out) == (0, True)
    assert "interleaving:" not in run.out
    found = pfncache(*call, "--json")
    document(found)
    (design,) = found.document["designs"]
    assert [v["against_base"] for s in design["scenarios"] for v in s["violations"]] == ["unchanged"] * 2
    assert design["patches"] == ["KVM: pfncache: something."]
    absolute = pfncache(*call, "--absolute")
    assert (absolute.code, "stale-translation in xen/process-exit, the shortest" in absolute.out) == (1, True)


@pytest.mark.slow
def test_a_right_patch_has_ten_lines(pfncache: Command, mine: Callable[[str], str]) -> None:
    """Over the catalogue and the array: mainline violates 16 scenarios of the one, and three points of the other."""
    run = pfncache("verify", mine(RIGHT))
    assert (run.code, len(run.out.splitlines()) <= 10) == (0, True)
    assert "mine against mainline-7.3: nothing new, 24 unchanged, 0 cured" in run.out


def test_a_wrong_patch_on_mainline(pfncache: Command) -> None:
    """Only what the patch broke has a trace."""
    run = pfncache("verify", "no-active-count", "-s", "xen/process-exit", "-s", "clock/anon/dontneed")
    assert run.code == 1
    assert "in clock/anon/dontneed, the shortest interleaving:" in run.out
    assert "in xen/process-exit, the shortest interleaving:" not in run.out


def test_a_fix_on_mainline(pfncache: Command) -> None:
    run = pfncache("verify", "failed-folio-unlocked", "-s", "gmem/failure-and-punch", "--json")
    document(run)
    (scenario,) = run.document["designs"][0]["scenarios"]
    assert (run.code, scenario["verdict"], scenario["violations"]) == (0, "holds", [])
    assert scenario["cured"][0]["property"] == "deadlock"


def test_what_a_file_prints_is_no_part_of_the_document(pfncache_process: Command, tmp_path: Path) -> None:
    """By Python, by another process, and by a worker."""
    path = tmp_path / "mine.py"
    path.write_text(
        "import os\nprint('from Python')\nos.system('echo from a shell')\n" + ON_MAINLINE.format(result=WRONG)
    )
    run = pfncache_process("verify", str(path), "-s", "clock/anon/touch", "--json")
    assert [d["design"] for d in run.document["designs"]] == ["mine"]
    assert run.err.startswith("from Python\nfrom a shell\n")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("rfc-v5",), "no design 'rfc-v5'; nearest: rfc-v4, rfc-v3, rfc-v2"),
        (("-s", "xen/hatl"), "no scenario 'xen/hatl'; nearest: xen/halt"),
        (("nowhere.py",), "nowhere.py: no such file"),
        (("--max-states", "3"), "Invalid value for '--max-states': 3 is not in the range x>=1000."),
        (("--nonsense",), "No such option '--nonsense'."),
        (("--all", "rfc-v4"), "--all is every design; leave out the names, or --all"),
        (("--ktap",), "--json and --ktap are both for standard output; choose one"),
    ],
)
def test_a_usage_error_has_a_document_too(pfncache: Command, arguments: tuple[str, ...], error: str) -> None:
    run = pfncache("verify", *arguments, "--json")
    found = document(run)
    assert (run.code, found["status"], found["designs"]) == (2, 2, [])
    assert str(found["error"]).startswith(error)


def test_an_internal_error_has_a_document_too(pfncache: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what was found until then; the traceback is in a file."""

    def failing(self: object, on_done: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("pfncache.verify.session.Session.run", failing)
    monkeypatch.setattr("pfncache.verify.kept_outcomes.newest_folder", lambda: None)
    run = pfncache("verify", "mainline-7.3", "-s", "xen/halt", "--json")
    assert (run.code, document(run)["error"]) == (70, "internal error: ZeroDivisionError: division by zero")
    (scenario,) = run.document["designs"][0]["scenarios"]
    assert (scenario["scenario"], scenario["verdict"]) == ("xen/halt", "bounded")
    line = run.err.splitlines()[-1]
    assert line.startswith("pfncache: internal error: ZeroDivisionError: division by zero; the traceback is in /")
    file = Path(line.rpartition(" in ")[2])
    assert "in failing" in file.read_text()
    file.unlink()


def test_ktap(pfncache: Command) -> None:
    names = ("-s", "xen/halt", "-s", "xen/process-exit", "-s", "clock/anon/dontneed")
    run = pfncache("verify", "no-active-count", *names, "--ktap")
    lines = run.out.splitlines()
    assert run.code == 1
    assert lines[:4] == ["KTAP version 1", "1..1", "  KTAP version 1", "  # Subtest: no-active-count"]
    assert lines[4] == "  1..3"
    assert {line.split(" # ")[0].strip() for line in lines[5:] if not line.strip().startswith("#")} >= {
        "ok 1 xen/halt", "not ok 3 clock/anon/dontneed", "not ok 1 no-active-count",
    }  # fmt: skip
    assert "  ok 2 xen/process-exit # XFAIL stale-translation, use-after-free, as mainline-7.3" in lines
    idle = pfncache("verify", "mainline-6.12", "-s", "clock/gmem-ndm/munmap", "--ktap")
    assert idle.out.splitlines()[-1] == "ok 1 mainline-6.12 # SKIP"


def test_junit(pfncache: Command, tmp_path: Path) -> None:
    path = tmp_path / "out.xml"
    names = ("-s", "xen/halt", "-s", "xen/process-exit", "-s", "clock/anon/dontneed", "-s", "gmem/unmapped-punch")
    run = pfncache("verify", "no-active-count", "mainline-6.12", *names, "--junit", str(path))
    suites = ElementTree.parse(path).getroot()
    assert run.code == 1
    assert [(s.get("name"), s.get("tests"), s.get("failures"), s.get("skipped")) for s in suites] == [
        ("no-active-count", "4", "1", "0"), ("mainline-6.12", "4", "1", "1"),
    ]  # fmt: skip
    failure = next(suites.iter("failure"))
    assert (failure.text or "").startswith("CPU0: vcpu")
    assert pfncache("verify", "--junit", str(tmp_path / "none" / "out.xml")).code == 2


CLOCKLESS = '''
from pfncache import Patch, designs
from pfncache.linux.arch.x86.kvm.x86 import X86


class NoClock(Patch, X86):
    """KVM: x86: do not write the clock."""

    def kvm_guest_time_update(self, vcpu):
        pass


clockless = designs["mainline-7.3"] + [NoClock]
'''


@pytest.fixture
def clockless(tmp_path: Path) -> str:
    """A file with a design that reaches nothing in `clock/anon/touch`, and as much as mainline in `xen/halt`."""
    (tmp_path / "clockless.py").write_text(CLOCKLESS)
    return str(tmp_path / "clockless.py")


VACUOUS = "vacuous: the clock was never written, a cache was never used"


def test_vacuous_scenarios_in_ktap(pfncache: Command, clockless: str) -> None:
    run = pfncache("verify", clockless, "-s", "clock/anon/touch", "-s", "xen/halt", "--ktap")
    assert (run.code, run.out.splitlines()) == (3, [
        "KTAP version 1", "1..1", "  KTAP version 1", "  # Subtest: clockless", "  1..2",
        f"  ok 1 clock/anon/touch # SKIP {VACUOUS}", "  ok 2 xen/halt", "ok 1 clockless",
    ])  # fmt: skip
    alone = pfncache("verify", clockless, "-s", "clock/anon/touch", "--ktap")
    assert (alone.code, alone.out.splitlines()[-1]) == (3, "ok 1 clockless # SKIP")


def test_vacuous_scenarios_in_junit(pfncache: Command, tmp_path: Path, clockless: str) -> None:
    path = tmp_path / "out.xml"
    run = pfncache("verify", clockless, "-s", "clock/anon/touch", "-s", "xen/halt", "--junit", str(path))
    (suite,) = ElementTree.parse(path).getroot()
    assert run.code == 3
    assert [suite.get(name) for name in ("name", "tests", "failures", "errors", "skipped")] == [
        "clockless", "2", "0", "0", "1",
    ]  # fmt: skip
    assert [skipped.get("message") for skipped in suite.iter("skipped")] == [VACUOUS]
    assert next(case for case in suite if case.find("skipped") is not None).get("name") == "clock/anon/touch"


@pytest.mark.parametrize("columns", ["60", "100"])
def test_width(pfncache: Command, columns: str) -> None:
    run = pfncache("verify", "rfc-v4-on-7.3", "-s", "gmem/unmapped-punch", "--width", columns)
    trace = run.out[run.out.index("CPU0:") : run.out.index("\n=> ")]
    assert int(columns) - 12 < max(len(line) for line in trace.splitlines()) <= int(columns)
