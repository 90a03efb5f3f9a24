# SPDX-License-Identifier: GPL-2.0-only
"""Layout of step code for the engine: the place of each variable and each live register in a state of a few words."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from operator import or_
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pfncache.check.code import SUBJECT, Code
from pfncache.check.compile.compiler import Compiled
from pfncache.check.compile.values import ANY_INT, IntKind, Kind, RefKind, kind_of_hint
from pfncache.check.ir import Column, Event, Failure, SourceLine, Variable
from pfncache.check.ops import Op
from pfncache.check.program.dataflow import in_loops
from pfncache.check.program.image import (
    ACTOR,
    ACTOR_FIRST_YIELD,
    ACTOR_START,
    ACTORS,
    AT_END,
    CODE,
    CONSTANT,
    CONSTANTS,
    COUNTER_END,
    COUNTER_ENTRY,
    COUNTER_FIRST_EVENT,
    COUNTER_HALTED,
    FANOUT,
    HEADER,
    INSTR,
    MASKS,
    N_ACTORS,
    N_CONSTANTS,
    N_MASKS,
    REGISTERS,
    SAVE,
    SAVES,
    SLOT,
    TABLES,
    VARIABLES,
    WORD,
    WORDS,
    YIELD,
    YIELD_FIRST_SAVE,
    YIELD_SAVES,
    YIELDS,
    MaskRow,
)
from pfncache.check.program.liveness import live_registers
from pfncache.check.program.masks import masks_of, words_of
from pfncache.check.program.movers import merge_unseen_steps
from pfncache.check.program.packing import Packer, Slot
from pfncache.check.program.start import first_events
from pfncache.check.program.template import Acquisition, ProgramPlaces, template_of


@dataclass
class Program:
    """A linked system: one array of numbers for the engine (image.py), and what is needed to read its states."""

    compiled: Compiled
    image: NDArray[np.int64]
    words: int
    slots: dict[Variable, Slot]
    actor_slots: list[Slot]
    """By actor: the slot of its program counter."""
    events: list[list[Event | None]]
    """By actor and program counter; None where the actor has ended or not begun."""
    points: list[Event]
    """Every preemption point of the code, by number."""
    failures: list[Failure]
    acquisitions: list[Acquisition]
    """By number: lock classes held, lock taken, event."""
    targets: list[str]
    """By number: the targets that the code can mark."""
    lines: list[SourceLine]
    """By number, of code that was compiled for coverage: the lines."""
    initial: NDArray[np.uint64]
    bits: int
    loops: NDArray[np.uint8]
    """By actor and program counter: not 0 if the actor may return to the same place."""
    kinds: dict[Variable, Kind] = field(default_factory=dict)

    @property
    def actors(self) -> int:
        """Number of actors."""
        return len(self.compiled.system.actors)

    @property
    def start_counters(self) -> NDArray[np.int64]:
        """Program counter of each actor in the initial state of the search."""
        rows = self.image[self.image[ACTORS] :][: self.actors * ACTOR].reshape(self.actors, ACTOR)
        starts: NDArray[np.int64] = rows[:, ACTOR_START]
        return starts

    @property
    def has_masks(self) -> bool:
        """Whether the search clears dead variables and expands persistent sets of actors."""
        return bool(self.image[MASKS])

    def without_masks(self) -> Program:
        """Return the program for a search that keeps dead variables and expands every actor."""
        image = self.image.copy()
        image[MASKS] = 0
        return replace(self, image=image)

    def value(self, state: NDArray[np.uint64], variable: Variable) -> Any:
        """Return the value of a variable in a state, as the model has it: a number, a bool or a record."""
        slot = self.slots[variable]
        raw = (int(state[slot.word]) >> slot.shift) & ((1 << slot.bits) - 1)
        number = raw + slot.low
        kind = self.kinds[variable]
        if isinstance(kind, RefKind):
            return self.compiled.heap.record(kind.record, number)
        return (
            bool(number)
            if kind == IntKind(0, 1) and isinstance(self.compiled.heap.holder(variable).__dict__[variable.name], bool)
            else number
        )

    def counter(self, state: NDArray[np.uint64], actor: int) -> int:
        """Return an actor's program counter in a state."""
        slot = self.actor_slots[actor]
        return (int(state[slot.word]) >> slot.shift) & ((1 << slot.bits) - 1)

    def saved(self, state: NDArray[np.uint64], actor: int) -> list[int]:
        """Return the saved registers of an actor in a state, each without the lowest value of its kind."""
        image = self.image
        row = int(image[image[ACTORS] + actor * ACTOR + ACTOR_FIRST_YIELD]) + self.counter(state, actor)
        resume = int(image[YIELDS]) + row * YIELD
        first, count = int(image[resume + YIELD_FIRST_SAVE]), int(image[resume + YIELD_SAVES])
        saves = image[image[SAVES] + first * SAVE :][: count * SAVE].reshape(count, SAVE)
        return [(int(state[word]) >> int(shift)) & ((1 << int(bits)) - 1) for _, word, shift, bits, _ in saves]


class Linker:
    """Lays out a compiled system as a program."""

    def __init__(self, compiled: Compiled, reduction: bool, final: bool) -> None:
        self.compiled = compiled
        self.final = final
        self.heap = compiled.heap
        self.left_out = frozenset({Op.RELEASE} if reduction else {Op.RELEASE, Op.SYMMETRIC})
        self.remain = merge_unseen_steps(compiled) if reduction else None
        numbers = sorted(set().union(*(code.constants for code in compiled.codes)))
        self.constants = {number: register for register, number in enumerate(numbers)}
        self.registers: dict[int, int] = {}
        """Registers of the engine for those of the actor that is being laid out; the constants come first."""
        self.register_count = len(numbers)
        self.slots: dict[Variable, Slot] = {}
        self.kinds: dict[Variable, Kind] = {}
        self.slot_rows: list[tuple[int, int, int, int]] = []
        self.columns: dict[Column, int] = {}
        self.tables: list[int] = []
        self.table_at: dict[tuple[int, ...], int] = {}
        self.code: list[NDArray[np.int64]] = []
        """The rows of each code."""
        self.code_rows = 0
        self.points: list[Event] = []
        self.failures: list[Failure] = []
        self.acquisitions: list[Acquisition] = []
        marked = {code.subject(i) for code in compiled.codes for i in code.where(Op.REACH).tolist()}
        self.targets = sorted(target for target in marked if isinstance(target, str))
        self.lines = sorted(line for line in marked if isinstance(line, SourceLine))
        marks: list[str | SourceLine] = [*self.targets, *self.lines]
        self.cover_number = {mark: number for number, mark in enumerate(marks)}
        self.packer = Packer()

    def link(self) -> Program:
        """Lay out state, code and tables."""
        self._place_variables()
        actors = len(self.compiled.system.actors)
        events: list[list[Event | None]] = []
        saves: list[tuple[int, ...]] = []
        yields: list[tuple[int, ...]] = []
        actor_rows: list[tuple[int, ...]] = []
        counters: list[Slot] = []
        loops: list[list[bool]] = []
        counters_of: list[dict[int, int]] = []
        for number in range(actors):
            code = self.compiled.codes[number]
            self._take_registers(code)
            live = live_registers(code)
            visible = [i for i in live if self.remain is None or i in self.remain[number]]
            counter_of = {i: n for n, i in enumerate(visible, COUNTER_FIRST_EVENT)}
            counters_of.append(counter_of)
            counter = self.packer.take(max(1, (len(visible) + 1).bit_length()), 0)
            counters.append(counter)
            start = self.packer.next
            entry, where = self._emit(code, counter_of)
            events.append([None, None, *(code.event(i) for i in visible)])
            loops.append([False, False, *in_loops(code)[visible].tolist()])
            base = len(yields)
            yields.append((0, 0, 0))
            yields.append((entry, 0, 0))
            end = start
            for i in visible:
                packer = Packer(start)
                first = len(saves)
                for register in live[i]:
                    kind = code.kinds[register]
                    bits, low = room(kind, self.heap.pools)
                    slot = packer.take(bits, low)
                    saves.append((self._register(register), slot.word, slot.shift, slot.bits, slot.low))
                yields.append((int(where[i]) + 1, first, len(saves) - first))
                end = max(end, packer.next)
            self.packer.next = end
            actor_rows.append(
                (counter.word, counter.shift, counter.bits, base, start, end, self._interrupter(number), 0)
            )
        self._set_starts(actor_rows, counters_of)
        at_end = -1
        if self.compiled.system.at_end is not None:
            self._take_registers(self.compiled.codes[actors])
            at_end, _ = self._emit(self.compiled.codes[actors], {})
        words = max(1, (self.packer.next + WORD - 1) // WORD)
        masks = self._masks(counters) if self.remain is not None else np.zeros(0, dtype=np.int64)
        image = self._image(words, at_end, yields, saves, actor_rows, masks)
        program = Program(
            compiled=self.compiled,
            image=image,
            words=words,
            slots=self.slots,
            actor_slots=counters,
            events=events,
            points=self.points,
            failures=self.failures,
            acquisitions=self.acquisitions,
            targets=self.targets,
            lines=self.lines,
            initial=np.zeros(words, dtype=np.uint64),
            bits=self.packer.next,
            loops=_matrix(loops),
            kinds=self.kinds,
        )
        self._fill_initial(program)
        return program

    def _set_starts(self, actor_rows: list[tuple[int, ...]], counters_of: list[dict[int, int]]) -> None:
        """Fill in the program counter of each actor in the initial state."""
        codes = self.compiled.codes[: len(actor_rows)]
        for actor, event in enumerate(first_events(codes, counters_of, self.heap)):
            counter = COUNTER_END if event is None else counters_of[actor].get(event, COUNTER_HALTED)
            actor_rows[actor] = (*actor_rows[actor][:ACTOR_START], counter)

    def _masks(self, counters: list[Slot]) -> NDArray[np.int64]:
        """Return the words of each place's masks, in the order of the image's YIELDS."""
        assert self.remain is not None
        codes, count = self.compiled.codes, len(counters)
        words = (self.packer.next + WORD - 1) // WORD
        bits = functools.cache(lambda variable: words_of(self._slot(variable).mask, words))
        nothing = words_of(0, words)
        kept = (1 << self.packer.next) - 1
        for slot in self.slots.values():
            kept &= ~slot.mask
        at_end = nothing
        if len(codes) > count:
            at_end = masks_of(codes[-1], self.heap, np.zeros(0, dtype=np.int64), bits, nothing)[0, MaskRow.LIVE]
        if self.final:
            at_end = at_end | words_of(functools.reduce(or_, (slot.mask for slot in self.slots.values()), 0), words)
        pairs = [(i, self._interrupter(i)) for i in range(count)]
        found_masks = []
        for number in range(count):
            # An interrupt and the actor that it interrupts disable each other: each writes what enables the other.
            cpus = sum(counters[i].mask for i, by in pairs if by >= 0 and number in (i, by))
            visible = np.array(sorted(self.remain[number]), dtype=np.int64)
            ended = np.zeros((1, N_MASKS, words), dtype=np.uint64)
            ended[0, MaskRow.LIVE] = at_end
            found = np.concatenate((ended, masks_of(codes[number], self.heap, visible, bits, at_end)))
            found[:, MaskRow.LIVE] |= words_of(kept, words)
            for row in (MaskRow.WRITES, MaskRow.LATER_WRITES):
                found[:, row] |= words_of(cpus, words)
            found_masks.append(found.reshape(-1))
        return np.concatenate(found_masks).astype(np.int64)

    def _interrupter(self, number: int) -> int:
        name = self.compiled.system.actors[number].name
        for i, actor in enumerate(self.compiled.system.actors):
            if actor.interrupts == name:
                return i
        return -1

    def _register(self, number: int) -> int:
        if number not in self.registers:
            self.registers[number] = self.register_count
            self.register_count += 1
        return self.registers[number]

    def _take_registers(self, code: Code) -> None:
        self.registers = {register: self.constants[number] for number, register in code.constants.items()}

    def _place_variables(self) -> None:
        for kind, pool in self.heap.pools.items():
            for name, declared in kind.fields.items():
                for number in range(1, len(pool) + 1):
                    variable = Variable(kind, number, name)
                    if self.compiled.written.stores(variable) or self.compiled.written_at_end.stores(variable):
                        self.kinds[variable] = self.heap.kind(kind_of_hint(declared.hint)) or ANY_INT
                        bits, low = room(self.kinds[variable], self.heap.pools)
                        self.slots[variable] = self.packer.take(bits, low)

    def _slot(self, variable: Variable) -> Slot:
        if variable in self.slots:
            return self.slots[variable]
        return Slot(0, 0, 0, self.heap.initial(variable))

    def _column(self, column: Column) -> int:
        if column not in self.columns:
            self.columns[column] = len(self.slot_rows)
            for variable in self.heap.variables(column):
                slot = self._slot(variable)
                self.slot_rows.append(slot.row)
        return self.columns[column]

    def _table(self, table: tuple[int, ...]) -> int:
        if table not in self.table_at:
            self.table_at[table] = len(self.tables)
            self.tables.extend(table)
        return self.table_at[table]

    def _emit(self, code: Code, counter_of: dict[int, int]) -> tuple[int, NDArray[np.int64]]:
        """Append an actor's code. Returns its entry, and the place of each instruction in the image's code."""
        entry = self.code_rows
        template = template_of(code, self.left_out)
        rows = template.rows(
            ProgramPlaces(
                register=self._register,
                slot=lambda variable: self._slot(variable).row,
                column=self._column,
                table=self._table,
                mark=self.cover_number,
                counter=counter_of,
                first_row=entry,
                first_point=len(self.points),
                first_failure=len(self.failures),
                first_acquisition=len(self.cover_number) + len(self.acquisitions),
            )
        )
        self.code.append(rows)
        self.code_rows += len(rows)
        self.points += template.points
        self.failures += template.failures
        self.acquisitions += template.acquisitions
        return entry, entry + template.row_of

    def _image(
        self,
        words: int,
        at_end: int,
        yields: list[tuple[int, ...]],
        saves: list[tuple[int, ...]],
        actor_rows: list[tuple[int, ...]],
        masks: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        header = [0] * HEADER
        body: list[NDArray[np.int64]] = []
        end = HEADER

        def section(index: int, rows: Sequence[Sequence[int]] | NDArray[np.int64], width: int) -> None:
            nonlocal end
            header[index] = end
            body.append(np.array(rows, dtype=np.int64).reshape(-1))
            end += len(rows) * width

        section(CODE, np.concatenate(self.code), INSTR)
        section(VARIABLES, self.slot_rows, SLOT)
        section(TABLES, [(n,) for n in self.tables], 1)
        section(YIELDS, yields, YIELD)
        section(SAVES, saves, SAVE)
        section(ACTORS, actor_rows, ACTOR)
        section(CONSTANTS, [(register, number) for number, register in self.constants.items()], CONSTANT)
        if len(masks):
            section(MASKS, masks, 1)
        header[N_CONSTANTS] = len(self.constants)
        header[N_ACTORS] = len(actor_rows)
        header[WORDS] = words
        header[AT_END] = at_end
        header[REGISTERS] = self.register_count
        header[FANOUT] = sum(
            max([1, *code.rows[code.where(Op.CHOOSE), SUBJECT].tolist()])
            for code in self.compiled.codes[: len(actor_rows)]
        )
        return np.concatenate([np.array(header, dtype=np.int64), *body])

    def _fill_initial(self, program: Program) -> None:
        for variable, slot in self.slots.items():
            number = self.heap.initial(variable) - slot.low
            if not 0 <= number < (1 << slot.bits):
                raise ValueError(
                    f"the initial value of {self.heap.text(variable)} is {number + slot.low}, out of its type's range"
                )
            program.initial[slot.word] |= np.uint64(number << slot.shift)
        for slot in program.actor_slots:
            program.initial[slot.word] |= np.uint64(COUNTER_ENTRY << slot.shift)


def _matrix(rows: list[list[bool]]) -> NDArray[np.uint8]:
    matrix = np.zeros((len(rows), max(map(len, rows))), dtype=np.uint8)
    for number, row in enumerate(rows):
        matrix[number, : len(row)] = row
    return matrix


def room(kind: Kind, pools: dict[Any, Any]) -> tuple[int, int]:
    """Return the number of bits that a kind needs, and its lowest value."""
    if isinstance(kind, RefKind):
        return max(1, len(pools.get(kind.record, ())).bit_length()), 0
    return max(1, (kind.high - kind.low).bit_length()), kind.low


def link(compiled: Compiled, reduction: bool = True, final: bool = False) -> Program:
    """Lay out a compiled system. `reduction` merges steps by Lipton's reduction, and adds masks for the search's.

    With `final`, every variable counts as read at the end, so that the search does not merge different final states.
    """
    return Linker(compiled, reduction, final).link()
