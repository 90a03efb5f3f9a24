# SPDX-License-Identifier: GPL-2.0-only
"""Constant expressions of C that is not trusted."""

from __future__ import annotations

import pytest

from pfncache.csource.constants import value_of


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("0x10 | 1 << 3", 0x18),
        ("-(2 - 5) * 4", 12),
        ("~0 & 0xff", 0xFF),
        ("1 << 63", 1 << 63),
        (" not 0 and 3 >= 3", 1),
        ("False or 0", 0),
        ("2 == 3", 0),
        ("1 << 1000000000000", None),
        ("9**9**9**9", None),
        ("0xffffffff * 0xffffffff * 0xffffffff", None),
        ("1 << -1", None),
        ("(" * 5000 + "1" + ")" * 5000, None),
        ("-" * 100_000 + "1", None),
        ("9" * 10_000, None),
        ("__import__('os')", None),
        ("(lambda: 1)()", None),
        ("[1][0]", None),
        ("'text'", None),
        ("1.5", None),
        ("1; 2", None),
        ("", None),
    ],
)
def test_value(expression: str, value: int | None) -> None:
    assert value_of(expression) == value
