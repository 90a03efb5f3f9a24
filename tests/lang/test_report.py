# SPDX-License-Identifier: GPL-2.0-only
"""Reports of violated properties."""

from __future__ import annotations

import pytest

from pfncache.lang.report import PropertyViolated, report


def test_report() -> None:
    with pytest.raises(PropertyViolated) as splat:
        report("kind", "what happened")
    assert str(splat.value) == "kind: what happened"
