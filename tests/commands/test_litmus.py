# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache litmus``: what it prints, and what is wrong with a command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Call
from tests.csource.kvm.trees import source
from tests.litmus.trees import model


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
