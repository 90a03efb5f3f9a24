# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache fidelity``: what it says of a kernel's C, and how a run ends."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pfncache.fidelity.known import DIFFERENCES
from pfncache.fidelity.result import Agreement
from tests.conftest import PFNCACHE, Call, Run
from tests.csource.edits import Change, substitute
from tests.csource.kvm.trees import source
from tests.docs.test_json import members
from tests.fidelity.test_kernel_pair import RETRY, UNKNOWN, edited
from tools.console import ROOT

SCHEMA = json.loads((ROOT / "docs" / "reference" / "fidelity.schema.json").read_text())
BARRIER = Change("virt/kvm/pfncache.c", RETRY.function, substitute(r"\tsmp_rmb\(\);\n", ""))


def document(run: Run) -> Any:
    """Standard output as a document of the schema."""
    found = run.document
    jsonschema.validate(found, SCHEMA, format_checker=jsonschema.FormatChecker())
    assert found["status"] == run.code
    return found


def words(tree: Path, *scenarios: str) -> list[str]:
    return ["fidelity", "--tree", str(tree), "--jobs", "1", *(word for name in scenarios for word in ("-s", name))]


def test_the_source_is_as_the_model(pfncache: Call) -> None:
    run = pfncache(*words(source("7.3.4"), "gpc/move-in-page", "gpc/refresh-deactivate"), "--json")
    found = document(run)
    assert (run.code, found["agreement"], found["error"]) == (0, "same", None)
    assert [(s["scenario"], s["agreement"]) for s in found["scenarios"]] == [
        ("gpc/move-in-page", "same"), ("gpc/refresh-deactivate", "same"),
    ]  # fmt: skip
    assert all(s["reference"]["final"] == s["subject"]["final"] > 0 for s in found["scenarios"])
    assert (found["kernel"]["reference"], found["kernel"]["subject"]) == ("mainline-7.3", "linux-7.3.4")
    assert (found["kernel"]["refused"], found["kernel"]["changes"]) == ([], [])


def test_a_wrong_line_is_a_difference(pfncache: Call, tmp_path: Path) -> None:
    tree = edited(tmp_path, "7.3.4", RETRY)
    run = pfncache(*words(tree, "clock/anon/dontneed"))
    assert run.code == 1
    assert re.search(r"clock/anon/dontneed .* different .* holds .* violated", run.out)
    assert "Changed since Linux 7.3.4" in run.out
    assert "Linux 7.3.4, from its C, beside mainline 7.3.4: different; 1 scenario in" in run.out


def test_a_known_difference_has_its_reason(pfncache: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"mainline-7.3": {"clock/anon/dontneed": "the retry test is left out"}}
    monkeypatch.setattr("pfncache.fidelity.compare.DIFFERENCES", known)
    run = pfncache(*words(edited(tmp_path, "7.3.4", RETRY), "clock/anon/dontneed"))
    assert run.code == 0
    assert re.search(r"clock/anon/dontneed .* explained .* holds .* violated", run.out)
    assert "clock/anon/dontneed: the retry test is left out" in run.out


def test_members_are_those_of_the_page(pfncache: Call, tmp_path: Path) -> None:
    run = pfncache(*words(edited(tmp_path, "7.3.4", RETRY, UNKNOWN), "clock/anon/dontneed"), "--json")
    found = document(run)
    text = (ROOT / "docs" / "reference" / "json.md").read_text()
    section = text[text.index("## fidelity") :]
    named = {name.split(".")[-1] for name in re.findall(r"`([\w.\[\]]+)`", section)}
    assert set(members(found)) - named == set()
    assert f"schema {found['schema']}:" in section
    assert [a.value for a in Agreement if a not in SCHEMA["$defs"]["agreement"]["enum"]] == []


def test_a_function_that_cannot_be_translated_is_said_first(pfncache: Call, tmp_path: Path) -> None:
    run = pfncache(*words(edited(tmp_path, "7.3.4", UNKNOWN), "gpc/move-in-page"))
    assert run.code == 3
    first = run.out.splitlines()[0]
    assert first.startswith("not compared, the model's is used: virt/kvm/pfncache.c:")
    assert "kvm_gpc_check(): the model has no no_such_function()" in run.out


def test_another_kernel_says_what_changed_and_what_that_changes(pfncache: Call, tmp_path: Path) -> None:
    tree = edited(tmp_path, "7.4.1", RETRY)
    run = pfncache(*words(tree, "clock/anon/dontneed", "mm/two-faults"), "--json")
    found = document(run)
    assert (run.code, found["agreement"]) == (1, "different")
    assert (found["kernel"]["reference"], found["kernel"]["since"]) == ("linux-7.3.4", "7.3.4")
    assert [(c["name"], c["how"], c["status"]) for c in found["kernel"]["changes"]] == [
        ("mmu_notifier_retry_cache", "changed", "checked from C")
    ]
    first, second = found["scenarios"]
    assert (first["reference"]["verdict"], first["subject"]["verdict"]) == ("holds", "violated")
    assert (second["agreement"], second["reference"]["verdict"]) == ("same", "holds")


def test_a_barrier_of_another_kernel_is_not_seen(pfncache: Call, tmp_path: Path) -> None:
    run = pfncache(*words(edited(tmp_path, "7.4.1", BARRIER), "gpc/move-in-page"))
    assert run.code == 3
    assert "smp_rmb() added, dropped or moved; each step is a full barrier" in run.out


def test_a_kernel_without_a_change(pfncache: Call, tmp_path: Path) -> None:
    run = pfncache(*words(edited(tmp_path, "7.4.1"), "gpc/move-in-page"))
    assert run.code == 0
    assert "nothing that the model has differs from Linux 7.3.4" in run.out


def test_a_bounded_search_is_incomplete(pfncache: Call) -> None:
    run = pfncache(*words(source("7.3.4"), "xen/two-senders"), "--max-states", "1000", "--json")
    (scenario,) = document(run)["scenarios"]
    assert (run.code, scenario["agreement"]) == (3, "incomplete")
    assert scenario["subject"]["limit"] == "the limit of 1,000 states"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (["--kernel", "7.3", "--tree", "."], "--kernel and --tree both say what is compared; choose one"),
        (["--tree", "/no/such/folder"], "--tree /no/such/folder: no such folder"),
        (["--tree", "/usr"], "/usr is no kernel tree: it has no Makefile"),
        (["-s", "gpc/nothing"], "no scenario 'gpc/nothing'; nearest:"),
        (["--jobs", "0"], "Invalid value for '--jobs'"),
        (["--kernel", "seven"], "'seven' is no version, such as 7.3"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_wrong_usage_is_one_line(pfncache: Call, given: list[str], error: str, as_json: bool) -> None:
    run = pfncache("fidelity", *given, *(["--json"] if as_json else []))
    assert run.code == 2
    assert "Traceback" not in run.err
    (line,) = [line for line in run.err.splitlines() if line.startswith("Error: ")]
    assert error in line
    if as_json:
        found = document(run)
        assert error in found["error"]
        assert (found["kernel"], found["agreement"], found["scenarios"]) == (None, None, [])
    else:
        assert run.out == ""


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupted_run_has_what_there_was(number: signal.Signals, status: int) -> None:
    command = [*PFNCACHE, *words(source("7.3.4"), "gpc/", "clock/anon/"), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(20)
        process.send_signal(number)
        out, errors = process.communicate(timeout=60)
    found = document(Run(process.returncode, out, errors))
    assert (process.returncode, "Traceback" in errors) == (status, False)
    assert found["agreement"] == "incomplete"
    assert {s["reference"]["limit"] for s in found["scenarios"]} >= {"interrupted before it was searched"}


@pytest.mark.slow
@pytest.mark.parametrize("release", ["7.3.4", "7.2.12", "6.12.117"])
def test_the_catalogue_is_the_same_from_c(pfncache: Call, release: str) -> None:
    run = pfncache(*words(source(release)), "--json")
    found = document(run)
    wrong = {
        s["scenario"]: s["final_states"] for s in found["scenarios"] if s["agreement"] not in ("same", "explained")
    }
    assert (wrong, run.code) == ({}, 0)
    explained = {s["scenario"] for s in found["scenarios"] if s["agreement"] == "explained"}
    assert explained == set(DIFFERENCES.get(found["kernel"]["reference"], {}))
    assert len(found["scenarios"]) > 100
