# SPDX-License-Identifier: GPL-2.0-only
"""Assertions of Linux's own."""

from __future__ import annotations

import pytest

from pfncache.lang.report import PropertyViolated
from pfncache.linux.include.linux.bug import WARN_ON_ONCE


def test_warn_on() -> None:
    WARN_ON_ONCE(False, "never")
    with pytest.raises(PropertyViolated) as splat:
        WARN_ON_ONCE(True, "always")
    assert (splat.value.kind, splat.value.detail) == ("warn-on", "always")
