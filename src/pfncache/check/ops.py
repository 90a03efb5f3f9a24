# SPDX-License-Identifier: GPL-2.0-only
"""The operations of step code: one table of their operands, their meaning, and their text in other languages."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, IntEnum
from typing import Any, NamedTuple


class Op(IntEnum):
    """Operations of the engine. Numba compiles a member as a constant."""

    HALT = 0
    EVENT = 1
    JUMP = 2
    JZ = 3
    JNZ = 4
    MOVE = 5
    LOAD = 6
    STORE = 7
    LOADX = 8
    STOREX = 9
    TABLE = 10
    ADD = 11
    SUB = 12
    MUL = 13
    DIV = 14
    MOD = 15
    AND = 16
    OR = 17
    XOR = 18
    SHL = 19
    SHR = 20
    EQ = 21
    NE = 22
    LT = 23
    LE = 24
    NOT = 25
    NEG = 26
    INVERT = 27
    BLOCK = 28
    CHOOSE = 29
    FAIL = 30
    ACQUIRE = 31
    RELEASE = 32
    SYMMETRIC = 33
    REACH = 34


class SubjectKind(Enum):
    """The operand of an operation that is not a register."""

    NONE = "none"
    EVENT = "event"
    """A possible preemption point."""
    LABEL = "label"
    """The target of a jump."""
    VARIABLE = "variable"
    """A scalar of a known record."""
    COLUMN = "column"
    """The same scalar of every record of a class; a register has the record's number."""
    TABLE = "table"
    """Constants; a register has the index."""
    OUTCOMES = "outcomes"
    """The number of outcomes of a nondeterministic choice."""
    FAILURE = "failure"
    LOCK = "lock"
    """A lock annotation."""
    TARGET = "target"
    """A target of the system, by its name."""


class OpSemantics(NamedTuple):
    """One row of the table."""

    reads: int
    """Number of registers that it reads."""
    writes: bool
    """Whether it writes a register."""
    subject: SubjectKind
    meaning: str
    evaluate: Callable[..., Any] | None = None
    """Its result in Python, from the values of the registers that it reads. Comparisons return 0 or 1."""
    promela: str = ""
    """The result as an expression of Promela, with {} for each operand."""
    tla: str = ""
    """The result as an expression of TLA+: an integer, or for a comparison a BOOLEAN."""


def _control(reads: int, subject: SubjectKind, meaning: str) -> OpSemantics:
    """Return the row of an operation without a result."""
    return OpSemantics(reads, False, subject, meaning)


def _access(reads: int, writes: bool, subject: SubjectKind, meaning: str) -> OpSemantics:
    """Return the row of an operation on the state, on a table, or on the choice of a step."""
    return OpSemantics(reads, writes, subject, meaning)


def _unary(meaning: str, evaluate: Callable[[Any], Any], promela: str = "", tla: str = "") -> OpSemantics:
    """Return the row of an operation on one register."""
    return OpSemantics(1, True, SubjectKind.NONE, meaning, evaluate, promela, tla)


def _binary(meaning: str, evaluate: Callable[[Any, Any], Any], promela: str, tla: str) -> OpSemantics:
    """Return the row of an operation on two registers."""
    return OpSemantics(2, True, SubjectKind.NONE, meaning, evaluate, f"({{}} {promela} {{}})", tla)


OPERATIONS: dict[Op, OpSemantics] = {
    Op.HALT: _control(0, SubjectKind.NONE, "the actor ends"),
    Op.EVENT: _control(0, SubjectKind.EVENT, "a possible preemption point: the next step begins here"),
    Op.JUMP: _control(0, SubjectKind.LABEL, "jump"),
    Op.JZ: _control(1, SubjectKind.LABEL, "jump if zero"),
    Op.JNZ: _control(1, SubjectKind.LABEL, "jump if not zero"),
    Op.LOAD: _access(0, True, SubjectKind.VARIABLE, "read a variable"),
    Op.STORE: _access(1, False, SubjectKind.VARIABLE, "write a variable"),
    Op.LOADX: _access(1, True, SubjectKind.COLUMN, "read the variable of a record by the record's number, from 1"),
    Op.STOREX: _access(2, False, SubjectKind.COLUMN, "write the variable of a record by the record's number, from 1"),
    Op.TABLE: _access(1, True, SubjectKind.TABLE, "read a constant by its index"),
    Op.CHOOSE: _access(0, True, SubjectKind.OUTCOMES, "nondeterministic choice: an outcome, from 0"),
    Op.BLOCK: _control(1, SubjectKind.NONE, "the step is disabled while the register is 0"),
    Op.FAIL: _control(0, SubjectKind.FAILURE, "the step violates a property"),
    Op.ACQUIRE: _control(0, SubjectKind.LOCK, "a lock is taken (annotation)"),
    Op.RELEASE: _control(0, SubjectKind.LOCK, "a lock is released (annotation)"),
    Op.REACH: _control(1, SubjectKind.TARGET, "if not 0, a target is reached (annotation)"),
    Op.SYMMETRIC: _control(
        1, SubjectKind.NONE, "if not 0, another outcome of the step's choice is symmetric to this one"
    ),
    Op.MOVE: _unary("copy", lambda a: a),
    Op.NOT: _unary("whether zero", lambda a: int(a == 0), "!({})", "{} = 0"),
    Op.NEG: _unary("negation", lambda a: -a, "(-{})", "0 - {}"),
    Op.INVERT: _unary("bitwise complement", lambda a: ~a, "(~{})", "(-1) - {}"),
    Op.ADD: _binary("sum", lambda a, b: a + b, "+", "{} + {}"),
    Op.SUB: _binary("difference", lambda a, b: a - b, "-", "{} - {}"),
    Op.MUL: _binary("product", lambda a, b: a * b, "*", "{} * {}"),
    Op.DIV: _binary("quotient, rounded down", lambda a, b: a // b, "/", "{} \\div {}"),
    Op.MOD: _binary("remainder, with the sign of the divisor", lambda a, b: a % b, "%", "{} % {}"),
    Op.AND: _binary("bitwise and", lambda a, b: a & b, "&", "And({}, {})"),
    Op.OR: _binary("bitwise or", lambda a, b: a | b, "|", "Or({}, {})"),
    Op.XOR: _binary("bitwise exclusive or", lambda a, b: a ^ b, "^", "Xor({}, {})"),
    Op.SHL: _binary("shift left", lambda a, b: a << b, "<<", "{} * 2 ^ {}"),
    Op.SHR: _binary("arithmetic shift right", lambda a, b: a >> b, ">>", "{} \\div 2 ^ {}"),
    Op.EQ: _binary("whether equal", lambda a, b: int(a == b), "==", "{} = {}"),
    Op.NE: _binary("whether different", lambda a, b: int(a != b), "!=", "{} # {}"),
    Op.LT: _binary("whether less", lambda a, b: int(a < b), "<", "{} < {}"),
    Op.LE: _binary("whether less or equal", lambda a, b: int(a <= b), "<=", "{} <= {}"),
}

EVALUATE: dict[Op, Callable[..., Any]] = {
    op: operation.evaluate for op, operation in OPERATIONS.items() if operation.evaluate is not None
}
"""The operations on registers alone."""
COMPARISONS = frozenset({Op.EQ, Op.NE, Op.LT, Op.LE})
TRUTHS = COMPARISONS | {Op.NOT}
"""The operations whose result is 0 or 1."""
BITWISE = frozenset({Op.AND, Op.OR, Op.XOR})
BRANCHES = frozenset({Op.JZ, Op.JNZ})
JUMPS = BRANCHES | {Op.JUMP}
LOADS = frozenset({Op.LOAD, Op.LOADX})
STORES = frozenset({Op.STORE, Op.STOREX})
FINAL = frozenset({Op.HALT, Op.FAIL})
"""No instruction of the actor follows these."""
UNREACHED_AFTER = FINAL | {Op.JUMP}
"""The instruction that stands behind one of these is reached through a label only."""
WRITES = frozenset(op for op, operation in OPERATIONS.items() if operation.writes)
"""The operations that write a register."""
