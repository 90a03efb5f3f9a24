# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache litmus``: what it prints, and what is wrong with a command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.conftest import Call, Run
from tests.csource.edits import Change, drop, mail, place
from tests.csource.kvm.trees import source
from tests.docs.test_json import PAGE, members
from tests.litmus.trees import model
from tools.console import ROOT

SCHEMA = json.loads((ROOT / "docs" / "reference" / "litmus.schema.json").read_text())


def document(run: Run) -> dict[str, Any]:
    """Standard output as a document of the schema."""
    found: dict[str, Any] = run.document
    jsonschema.validate(found, SCHEMA, format_checker=jsonschema.FormatChecker())
    assert found["status"] == run.code
    return found


def test_a_test_with_its_text_and_what_is_needed(pfncache: Call) -> None:
    model()
    source("7.3.4")
    run = pfncache("litmus", "requests/data")
    assert run.code == 0
    assert run.out.startswith("requests/data: who takes a request sees what was written before it was made\n")
    assert "exists (1:request=1 /\\ 1:seen=0)" in run.out
    assert "What each barrier, lock and mark is for" in run.out
    assert "broken: requests/data" in run.out
    assert "the C of Linux 7.3.4: " in run.out
    assert run.out.rstrip().rpartition(" in ")[0].endswith(": 1 test, 1 ordered")


def test_text_is_for_herd7(pfncache: Call) -> None:
    source("7.3.4")
    run = pfncache("litmus", "requests/online", "--text")
    assert run.code == 0
    assert run.out.startswith("C requests+online\n\n{}\n\nP0(int *vcpu_array, int *online_vcpus)\n{\n")


def test_a_tree_without_the_functions_is_out_of_date(pfncache: Call, tmp_path: Path) -> None:
    run = pfncache("litmus", "requests/online", "--text", "--tree", str(tmp_path))
    assert run.code == 3
    assert run.out == ""
    assert run.err.splitlines() == [
        "requests/online is out of date: kvm_vm_ioctl_create_vcpu(): there is no file virt/kvm/kvm_main.c",
        "requests/online is out of date: kvm_get_vcpu(): there is no file include/linux/kvm_host.h",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "no litmus test 'none'; there are: publish/invalidate, publish/use, "),
        (["--tree", "/nowhere"], "--tree /nowhere: no such folder"),
        (["--tree", "/", "--kernel", "7.3"], "--kernel and --tree both choose the C; give one of them"),
        (["--changed"], "--changed compares with a series; give it as --series"),
        (
            ["requests", "-s", "slots/move"],
            "-s generates tests; NAME, --changed, --verdicts and --text are for those by hand",
        ),
        (["-s", "none"], "no scenario 'none'"),
        (["--text", "--json"], "--text prints tests alone; leave out --changed and --json"),
        (["--tree", "/", "--series", "/nowhere"], "no series '/nowhere': no such file or folder"),
    ],
)
def test_usage(pfncache: Call, arguments: list[str], message: str) -> None:
    run = pfncache("litmus", *arguments)
    assert run.code == 2
    assert message in run.err


def test_a_tree_without_a_memory_model_is_incomplete(pfncache: Call, tmp_path: Path) -> None:
    model()
    run = pfncache("litmus", "requests/online", "--tree", str(tmp_path))
    assert run.code == 3
    assert run.err == f"Error: there is no memory model in {tmp_path}/tools/memory-model\n"


def test_what_a_series_changes(pfncache: Call, tmp_path: Path) -> None:
    model()
    edit = Change("include/linux/kvm_host.h", "kvm_get_vcpu", drop(place("smp_rmb")))
    path = mail(source("7.3.4"), tmp_path, [edit], "online")
    run = pfncache("litmus", "--series", str(path), "--changed")
    assert run.code == 1
    assert run.out.splitlines()[:2] == [
        "requests/online: ordered -> broken; without smp_rmb() in kvm_get_vcpu()",
        "  reader: - smp_rmb()",
    ]
    assert ": 1 changed, 1 worse, 0 the same in " in run.out
    (change,) = document(pfncache("litmus", "--series", str(path), "--changed", "--json"))["changes"]
    assert (change["test"], change["before"], change["after"], change["worse"]) == (
        "requests/online", "ordered", "broken", True,
    )  # fmt: skip


def test_documents_have_the_members_of_the_table(pfncache: Call) -> None:
    model()
    source("7.3.4")
    found = document(pfncache("litmus", "requests/online", "--json"))
    assert [(test["test"], test["verdict"]) for test in found["tests"]] == [("requests/online", "ordered")]
    scenario = document(pfncache("litmus", "-s", "gmem/bind-and-punch", "--json"))
    assert [(one["scenario"], one["verdict"]) for one in scenario["scenarios"]] == [("gmem/bind-and-punch", "ordered")]
    section = PAGE.read_text().split("## litmus")[1].split("\n## ")[0]
    named = {name.split(".")[-1] for name in re.findall(r"`([\w.\[\]]+)`", section)}
    assert set(members(found)) | set(members(scenario)) <= named


def test_a_wrong_option_has_a_document(pfncache: Call) -> None:
    found = document(pfncache("litmus", "--changed", "--json"))
    assert (found["status"], found["error"]) == (2, "--changed compares with a series; give it as --series")
