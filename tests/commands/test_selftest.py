# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache selftest`` as a user calls it."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from pfncache.machines.host import devkvm as kvm_host
from pfncache.selftests import SELFTESTS
from tests.conftest import PFNCACHE, Call
from tests.selftests.ktap import parse


def test_pipe_gets_ktap_with_every_test(pfncache_process: Call) -> None:
    run = pfncache_process("selftest", "--machine", "model", "series", "gmem/", "dirty-log")
    groups = parse(run.out)
    assert [g.name for g in groups] == ["series", "gmem", "dirty-log"]
    names = [f"{g.name}/{t.name}" for g in groups for t in g.subtests]
    assert names == [n for n in SELFTESTS if n.startswith(("series", "gmem/", "dirty-log"))]
    assert run.code == 0
    assert run.err == ""
    series = {t.name: t for t in groups[0].subtests}
    assert (series["clock-unmapped"].ok, series["clock-unmapped"].directive) == (True, "XFAIL")
    assert (series["clock-no-direct-map"].directive, series["clock-no-direct-map"].ok) == ("SKIP", True)
    assert all(g.ok for g in groups)


def test_design_is_what_the_model_runs(pfncache: Call) -> None:
    run = pfncache("selftest", "--machine", "model", "--design", "rfc-v4", "series")
    assert {(t.ok, t.directive) for t in parse(run.out)[0].subtests} == {(True, "")}
    assert run.code == 0


def test_failure_is_reported_and_exits_1(pfncache: Call) -> None:
    run = pfncache("selftest", "--machine", "model", "--design", "rfc-v4", "clock/in-anon", "clock/in-gmem")
    assert run.code == 1
    (group,) = parse(run.out)
    assert not group.ok
    failed = next(t for t in group.subtests if t.name == "in-anon")
    assert (failed.ok, failed.directive) == (False, "")
    assert any("wild-pointer" in note for note in failed.notes)
    assert "watches: lost-update" in failed.notes


def test_all_skipped_exits_4(pfncache: Call) -> None:
    run = pfncache("selftest", "--machine", "model", "series/clock-no-direct-map")
    assert run.code == 4
    (group,) = parse(run.out)
    assert (group.ok, group.directive) == (True, "SKIP")
    assert group.subtests[0].reason == "no guest_memfd flags 0x4"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("nosuch",), "no selftest 'nosuch'"),
        (("clok",), "nearest: clock"),
        (("--design", "rfc-v5"), "nearest: rfc-v4"),
        (("--machine", "toaster"), "'model', 'kvm'"),
        (("--machine", "kvm", "--kernel", "7.3"), "--kernel is for the machine vm, not for kvm"),
        (("--kernel", "5.10"), "get it with: pfncache kernel fetch 5.10"),
        (("--base", "7.3"), "--base is that of a series; give --design SERIES, too"),
        (("--design", "rfc-v4", "--base", "7.3"), "--base is that of a series; give --design SERIES, too"),
        (("--design", "/dev/null"), "no patch in /dev/null; give a folder of git format-patch, or an mbox"),
        (("--kernel", "/dev/null/bzImage"), "no kernel '/dev/null/bzImage': no such file"),
    ],
)
def test_usage(pfncache: Call, args: tuple[str, ...], says: str) -> None:
    run = pfncache("selftest", *args)
    assert run.code == 2
    assert says in run.err
    assert "Traceback" not in run.err


@pytest.mark.parametrize(
    ("device", "reason"),
    [("/nonexistent", "open /nonexistent: ENOENT"), ("/dev/null", "KVM_GET_VCPU_MMAP_SIZE: ENOTTY")],
)
def test_no_kvm_skips_everything(pfncache: Call, monkeypatch: pytest.MonkeyPatch, device: str, reason: str) -> None:
    monkeypatch.setattr(kvm_host, "DEVICE", device)
    done = pfncache("selftest", "--machine", "kvm", "gmem", "memslots")
    assert done.code == 4
    groups = parse(done.out)
    assert {t.reason for g in groups for t in g.subtests} == {reason}
    assert f"no usable KVM of this host: {reason}" in done.out


def test_no_kvm_falls_back_to_the_model(pfncache: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kvm_host, "DEVICE", "/nonexistent")
    done = pfncache("selftest", "memslots")
    assert done.code == 0
    assert "# machine: the model of mainline-7.3, mainline 7.3.4 (open /nonexistent: ENOENT)" in done.out


def test_terminal_gets_a_summary(pfncache: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pfncache.selftests.view.is_terminal", lambda: True)
    done = pfncache("selftest", "--machine", "model", "series", "memslots")
    assert done.code == 0
    assert "KTAP" not in done.out
    assert "memslots" in done.out
    output = " ".join(done.out.split())
    assert "release-private, release-unmapped: pfncache resolves guest_memfd through the user mapping only" in output
    assert "skip clock-no-direct-map, punch-no-direct-map, release-no-direct-map: no guest_memfd flags 0x4" in output
    assert "memslots 4 ok" in output


def test_design_of_a_file(pfncache: Call, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("from pfncache.designs.catalogue import rfc_v4\nmine = rfc_v4 + []\n")
    run = pfncache("selftest", "--machine", "model", "--design", str(path), "series/clock-unmapped")
    assert run.code == 0
    assert "# machine: the model of mine" in run.out


def test_interrupt_exits_130() -> None:
    command = [*PFNCACHE, "selftest", "--machine", "model"]  # all of them, so that there is something to interrupt
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while not process.stdout.readline().strip().startswith("ok 1"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors
