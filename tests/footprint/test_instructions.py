# SPDX-License-Identifier: GPL-2.0-only
"""Instructions by their bytes."""

from __future__ import annotations

import pytest

from pfncache.footprint.instructions import name


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("0f a2", "cpuid"),
        ("0f 30", "wrmsr"),
        ("0f 22 d8", "mov to cr"),
        ("44 0f 20 c0", "mov from cr"),
        ("0f 01 d9", "vmmcall"),
        ("0f 01 38", "invlpg"),
        ("0f 01 10", "lgdt"),
        ("66 89 01", "mov"),
        ("f3 6e", "outs"),
        ("ee", "out"),
        ("f4", "hlt"),
        ("c4 42 69 f7 c0", "c4 42 69 f7"),
        ("0f", "0f"),
        ("48", "nothing"),
    ],
)
def test_name(code: str, expected: str) -> None:
    assert name(bytes.fromhex(code)) == expected


def test_what_is_a_prefix_in_long_mode_is_an_instruction_before() -> None:
    assert name(b"\x40\xf4", long_mode=True) == "hlt"
    assert name(b"\x40\xf4", long_mode=False) == "40 f4"
