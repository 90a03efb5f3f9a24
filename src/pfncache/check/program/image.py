# SPDX-License-Identifier: GPL-2.0-only
"""The format of a program's image: one array of 64-bit numbers, a header and then tables of rows of a fixed size.

Header entries that are tables hold the table's offset in the image. An offset within a row is counted from its start.
"""

from __future__ import annotations

from enum import IntEnum

WORD = 64
"""Bits of a word of a state."""

# The header
CODE = 0
"""Table: the instructions of all actors."""
VARIABLES = 1
"""Table: a slot for each variable of each column, by record number from 1."""
TABLES = 2
"""Table: the constants of Op.TABLE, one number a row."""
YIELDS = 3
"""Table: where an actor resumes, by actor and program counter."""
SAVES = 4
"""Table: the registers that are live where an actor resumes."""
ACTORS = 5
"""Table: the actors."""
N_ACTORS = 6
"""Number of actors."""
WORDS = 7
"""Words of a state."""
AT_END = 8
"""Index of the instruction where the check at the end begins; -1 if there is none."""
CONSTANTS = 9
"""Table: the registers that hold constants."""
N_CONSTANTS = 10
"""Number of rows of CONSTANTS."""
REGISTERS = 11
"""Number of registers."""
FANOUT = 12
"""Upper bound of the number of transitions from a state."""
MASKS = 13
"""Table: the bit masks of each place (masks.Masks), by actor and program counter; 0 if there is none."""
HEADER = 16
"""Entries of the header."""

# An instruction: its operation, then operands in the order of layout.Linker
INSTR = 6
INSTR_OP = 0
INSTR_A = 1
INSTR_B = 2
INSTR_C = 3
INSTR_POINT = INSTR_B
"""Of EVENT: its number in Program.points."""
ACCESS_WORD = 2
"""Of LOAD and STORE: behind the register, the slot of the variable."""
ACCESS_SHIFT = 3
ACCESS_BITS = 4
ACCESS_LOW = 5

# A slot: bits of a state that hold a value - low
SLOT = 4
SLOT_WORD = 0
SLOT_SHIFT = 1
SLOT_BITS = 2
SLOT_LOW = 3

# A place where an actor resumes
YIELD = 3
YIELD_INSTR = 0
"""Index of the instruction."""
YIELD_FIRST_SAVE = 1
"""Row of SAVES; YIELD_SAVES of them belong to the place."""
YIELD_SAVES = 2

# A saved register
SAVE = 5
SAVE_REGISTER = 0
SAVE_SLOT = 1
"""The slot that it is saved in."""

# An actor
ACTOR = 8
ACTOR_COUNTER = 0
"""The slot of its program counter, without the lowest value, which is 0."""
ACTOR_FIRST_YIELD = 3
"""Row of YIELDS for program counter 0."""
ACTOR_FIRST_BIT = 4
"""Bit of the state where its saved registers begin."""
ACTOR_END_BIT = 5
"""Bit of the state behind its saved registers."""
ACTOR_INTERRUPTER = 6
"""The actor that interrupts it; -1 if there is none."""
ACTOR_START = 7
"""Program counter where it stands in the initial state."""

# A register that holds a constant
CONSTANT = 2
CONSTANT_REGISTER = 0
CONSTANT_VALUE = 1

N_MASKS = 5
"""Masks of a place. Each has as many words as a state."""
COUNTER_END = 0
"""Program counter of an actor that has ended."""
COUNTER_ENTRY = 1
"""Program counter of an actor that has not begun: its first instruction."""
COUNTER_HALTED = COUNTER_ENTRY
"""During the search, when every actor has begun: program counter of an actor that stands still before a step that
violates a property. It has no program counter of its own there, as other steps are merged with that one."""
COUNTER_FIRST_EVENT = 2
"""Program counter of the first event that remains."""


class MaskRow(IntEnum):
    """The masks of a place of an actor, each as long as a state."""

    LIVE = 0
    """Variables that may be read before they are overwritten."""
    READS = 1
    WRITES = 2
    """Variables that the actor's next step reads, or writes."""
    LATER_READS = 3
    LATER_WRITES = 4
    """Variables that any step of the actor from here on reads, or writes."""
