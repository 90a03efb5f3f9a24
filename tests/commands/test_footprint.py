# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache footprint``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Call
from tests.footprint.vmm.test_bzimage import bzimage


def test_on_the_model(pfncache_process: Call) -> None:
    done = pfncache_process("footprint", "--machine", "model", "ring3-store-mmio")
    assert done.code == 0
    assert "KVM touched 5 of 32 pages in 2 places, and wrote 4 of them; 6 are in use" in done.out
    assert "order and path are not known: the model has no probes" in done.out
    assert [line.split("│")[1:5] for line in done.out.splitlines() if line.startswith("│")] == [
        ["  0x1000 ", "     1 ", " code ", " read    "],
        [" 0x10000 ", "     1 ", " pml4 ", " written "],
        [" 0x11000 ", "     1 ", " pdpt ", " written "],
        [" 0x12000 ", "     1 ", " pd   ", " written "],
        [" 0x13000 ", "     1 ", " pt   ", " written "],
    ]


def test_json_of_all_small_guests(pfncache: Call) -> None:
    done = pfncache("footprint", "--machine", "model", "--json")
    assert done.code == 0
    found = {footprint["guest"]: footprint["touched"] for footprint in done.document["footprints"]}
    assert found == {
        "sregs": 0, "real-hlt": 1, "real-store-load": 3, "ring0-store": 6, "ring3-load": 4, "ring3-store-mmio": 5,
        "ring3-clocks": 6,
    }  # fmt: skip


def test_runs_are_compared(pfncache: Call) -> None:
    done = pfncache("footprint", "--machine", "model", "real-store-load", "--runs", "3")
    assert done.out.splitlines()[-1] == "real-store-load, 3 runs: 3, 3, 3 pages; 3 in every run, 3 in any"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["rael-hlt"], "no guest 'rael-hlt'; nearest: real-hlt"),
        (["linux", "--machine", "model"], "the model runs the small guests only"),
        (["--machine", "vm"], "--machine vm and --kernel go together"),
        (["--machine", "kvm", "--kernel", "7.3"], "--machine vm and --kernel go together"),
        (["--machine", "model", "--svg", "x.svg"], "--svg draws one run of one guest: name it"),
        (["real-hlt", "--machine", "model", "--runs", "0"], "0 is not in the range x>=1"),
        (["linux", "--machine", "kvm", "--guest-kernel", "/no/such"], "no kernel '/no/such': no such file"),
    ],
)
def test_usage(pfncache: Call, arguments: list[str], why: str) -> None:
    done = pfncache("footprint", *arguments)
    assert done.code == 2
    assert why in done.err
    assert done.out == ""


def test_no_picture_without_times(pfncache: Call, tmp_path: Path) -> None:
    done = pfncache("footprint", "--machine", "model", "real-hlt", "--svg", str(tmp_path / "x.svg"))
    assert done.code == 3
    assert "no picture without times: the model has no probes" in done.err
    assert not (tmp_path / "x.svg").exists()


def test_a_kernel_that_is_none_or_needs_more(pfncache: Call, tmp_path: Path) -> None:
    for name, data, why in (
        ("none", b"#!/bin/sh\n" * 100, "is no bzImage"),
        ("old", bzimage(xloadflags=0), "no 64-bit entry point"),
        ("large", bzimage(init_size=32 << 20), "--memory 64: this kernel needs 112 MiB"),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        done = pfncache("footprint", "linux", "--machine", "kvm", "--guest-kernel", str(path), "--memory", "64")
        assert (done.code, why in done.err) == (2, True), done.err
