# SPDX-License-Identifier: GPL-2.0-only
"""Small tests whose results are known, and what herd7 does not understand."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfncache.litmus.herd import Herd, HerdError
from pfncache.litmus.observe import MemoryModel
from tests.litmus.trees import model

MESSAGE_PASSING = """C message-passing

{}

P0(int *data, int *flag)
{
	%s;
	smp_wmb();
	WRITE_ONCE(*flag, 1);
}

P1(int *data, int *flag)
{
	int r0;
	int r1;
	r0 = READ_ONCE(*flag);
	%s
	r1 = READ_ONCE(*data);
}

exists (1:r0=1 /\\ 1:r1=0)
"""


@pytest.mark.parametrize(
    ("write", "barrier", "expected"),
    [
        ("WRITE_ONCE(*data, 1)", "smp_rmb();", (False, False)),
        ("WRITE_ONCE(*data, 1)", "", (True, False)),
        ("*data = 1", "smp_rmb();", (False, True)),
    ],
)
def test_message_passing(write: str, barrier: str, expected: tuple[bool, bool]) -> None:
    text = MESSAGE_PASSING % (write, barrier)
    assert (model().reaches(text), model().races(text)) == expected


def test_what_is_no_litmus_test_is_an_error_of_one_line() -> None:
    with pytest.raises(HerdError, match=r"^herd7: Warning: File \"test\.litmus\", line 3, .*$"):
        model().reaches("C bad\n{}\nP0(int *x) { oops }\nexists (x=1)\n")


def test_a_tree_without_a_memory_model(tmp_path: Path) -> None:
    with pytest.raises(HerdError, match=r"^there is no memory model in "):
        MemoryModel(Herd(("/bin/true",), "7.58", Path("/bin/true")), tmp_path)


def test_a_program_that_does_not_run(tmp_path: Path) -> None:
    (tmp_path / "linux-kernel.cfg").touch()
    with pytest.raises(HerdError, match=r"^herd7 does not run: No such file or directory"):
        MemoryModel(Herd((str(tmp_path / "none"),), "7.58", tmp_path), tmp_path).reaches("")
    with pytest.raises(HerdError, match=r"^herd7: exit status 1$"):
        MemoryModel(Herd(("/bin/false",), "7.58", tmp_path), tmp_path).reaches("")
