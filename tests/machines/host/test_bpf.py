# SPDX-License-Identifier: GPL-2.0-only
"""The delaying program, decoded without loading it into a kernel."""

from __future__ import annotations

import struct

from pfncache.machines.host import bpf


def instructions(thread: int, rounds: int, calls: int) -> list[tuple[int, int, int, int]]:
    return list(struct.iter_unpack("<BBhi", bpf.program(thread, rounds, calls)))


def test_other_threads_go_straight_to_the_end() -> None:
    code = instructions(77, 1000, 5)
    at = next(n for n, (opcode, *_) in enumerate(code) if opcode == 0x56)
    _, register, offset, immediate = code[at]
    assert (register, immediate) == (0, 77)
    assert code[at + 1 + offset] == (0xB7, 0, 0, 0)
    assert [opcode for opcode, *_ in code[at + 1 + offset :]] == [0xB7, 0x95]


def test_the_loop_is_bounded_and_goes_back_behind_its_start() -> None:
    code = instructions(77, 1000, 5)
    at = next(n for n, (opcode, *_) in enumerate(code) if opcode == 0xA5)
    _, register, offset, immediate = code[at]
    assert (register, immediate) == (7, 1000)
    assert code[at + 1 + offset - 1] == (0xB7, 7, 0, 0)


def test_it_calls_itself_by_its_map() -> None:
    code = instructions(77, 1000, 5)
    at = next(n for n, (opcode, *_) in enumerate(code) if opcode == 0x18)
    assert code[at] == (0x18, 0x12, 0, 5)
    assert [code[n][0] for n in (at + 1, at + 2, at + 3)] == [0, 0xB7, 0x85]
    assert code[at + 3][3] == 12
