# SPDX-License-Identifier: GPL-2.0-only
"""Records: fields, parts and defaults."""

from __future__ import annotations

import pytest

from tests.lang.conftest import Whole


def test_members_have_their_defaults(whole: Whole) -> None:
    assert (whole.flag, whole.other, whole.part.number) == (False, None, 4)
    assert [(str(part), part.number) for part in whole.pieces] == [("first", 4), ("second", 5)]
    assert (str(whole.part), whole.part.role, whole.pieces[0].role) == ("whole.part", "Whole.part", "Part")


def test_members_are_those_that_are_annotated() -> None:
    with pytest.raises(TypeError, match="Whole has no member 'colour'"):
        Whole("whole", pieces=(), colour=1)
    with pytest.raises(TypeError, match=r"Whole\.pieces must be given"):
        Whole("whole")
