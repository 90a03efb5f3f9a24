# SPDX-License-Identifier: GPL-2.0-only
"""The form of the tables by which C and a model are joined. Every entry has its reason.

Most names need no entry: a structure is the record of its name in capitals, a member the field of its name, a function
the model's method of its name. Texts are Python expressions. In them ``{0}`` stands for the first argument,
``{0.name}`` for a member of the structure that the first argument is, ``{0:text}`` for its text in C, ``{0:truth}``
for whether it is not zero, ``{0:owner}`` for the structure of which it is the address of a member.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from pfncache.lang.records import Record


@dataclass(frozen=True)
class CallEntry:
    """What a call of a function or macro becomes."""

    text: str
    """The expression; empty for a call without effect on the model."""
    why: str
    returns: str = "int"
    """``int``, ``bool``, ``void``, the class of a record, or ``Class|err``: a record and a negative errno."""
    results: tuple[str, ...] = ()
    """Where the further items of a tuple go: ``1`` is what the second argument points to, ``0.page`` what the member
    `page` of the first one points to, ``0->page`` that member."""


@dataclass(frozen=True)
class MemberEntry:
    """What a member of a structure becomes; ``{0}`` is the structure."""

    text: str
    why: str
    returns: str = "int"
    """As in CallEntry; ``opaque`` or ``struct name`` is for contents that are not modelled."""
    store: str = ""
    """What a store becomes, if `text` is no member; ``{1}`` is the value. ``None`` for a store without effect."""


@dataclass(frozen=True)
class NameEntry:
    """What a name that is not a local becomes."""

    text: str
    why: str
    returns: str = "int"


@dataclass(frozen=True)
class WalkEntry:
    """What a walk over a list becomes: a loop over all that may be on it, and a test."""

    candidates: str
    """A tuple of records; ``{0}`` is the record that has the list."""
    test: str
    """Whether the candidate ``{1}`` is on the list of ``{0}``."""
    why: str
    element: str = "{1}"
    """The entry of the list, given the candidate ``{1}``."""
    add: str = ""
    """Adds the entry ``{0}`` to its list."""
    remove: str = ""
    """Removes the entry ``{0}`` from its list."""


@dataclass(frozen=True)
class EachEntry:
    """What a for_each macro becomes: a loop over a generator of the model."""

    text: str
    targets: tuple[int | str, ...]
    """Arguments that are assigned in each turn; ``"0.slot"`` is a member of the first."""
    why: str


@dataclass(frozen=True)
class GuardEntry:
    """What guard(name)() and scoped_guard(name) become: a guard of the model; a CLASS also has a value."""

    text: str
    why: str
    make: str = ""
    """Of a CLASS: the C function that returns its value; the guard's ``{0}`` is then the value."""
    struct: str = ""
    """Of a CLASS: the structure that its value points to."""


@dataclass(frozen=True)
class Hook:
    """Code of the model's reports, beside a store or a call of the C. It has no effect on what the C does."""

    text: str
    """``{0}`` is the record of the store, or the first argument of the call; ``{struct:gfn}`` a local that points to a
    `struct gfn`, ``{local:gfn}`` a local of that name; ``{written}`` whether the function has stored to user memory by
    one of `Tables.user_accesses`."""
    why: str
    unless: str = ""
    """A pattern: no hook where the text of the stored or returned value matches it."""


@dataclass(frozen=True)
class AsmEntry:
    """What an asm statement becomes."""

    texts: tuple[str, ...]
    """Executed one after the other. ``{0}`` is the first operand, ``{0:owner}`` the structure that it is a member of,
    or the record that has its mapping, ``{0:address}`` its address in user memory."""
    why: str
    results: tuple[int, ...] = ()
    """Operands that are locals, which get the items of the tuple that the last text returns."""


@dataclass(frozen=True)
class UserAccess:
    """A macro that accesses user memory, and jumps to a label, its last argument, if that faults."""

    text: str
    """Returns whether the access has succeeded; of a load, also the value. ``{address}`` and ``{size}`` are those of
    what the second argument points to, ``{value}`` is what a store writes."""
    why: str
    is_load: bool = False


@dataclass(frozen=True)
class MappingEntry:
    """A member that is the address of memory outside the model, which is accessed through pointers derived from it."""

    load: str
    """What a load through such a pointer is; ``{0}`` is the record."""
    store: str
    why: str


@dataclass(frozen=True)
class Tables:
    """How C and a model are joined."""

    kernel: type = object
    """The class whose methods are the model's functions."""
    scope: Mapping[str, Any] = field(default_factory=dict)
    """Names that the texts and the translated functions may use, among them the model's constants."""
    config: frozenset[str] = frozenset()
    """Names that conditional compilation takes for defined."""
    headers: tuple[str, ...] = ()
    """Headers whose structures, types and constants are read."""
    declarations: str = ""
    """C in our own words: structures of headers that are not read, and functions that stand for those of the model."""
    declared_in: str = "the tables"
    """The path of the file that `declarations` was read from."""
    records: Mapping[str, str] = field(default_factory=dict)
    """The record of a structure, where its name is not the structure's; empty if locals stand for its members."""
    records_in: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """By file and structure: the record that pointers of parameters and locals of that file point to."""
    members: Mapping[tuple[str, str], MemberEntry] = field(default_factory=dict)
    """By record and member."""
    elements: Mapping[tuple[str, str], MemberEntry] = field(default_factory=dict)
    """By record and member: what an element of an array becomes, or with ``Class*`` the whole array; ``{1}`` is the
    index."""
    opaque_members: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """By record and member: numbers that the model does not have, with the reason. Stores have no effect, and values
    cannot be tested."""
    transparent: frozenset[str] = frozenset()
    """Members that are structures in C, and whose members are those of the record itself."""
    flags: Mapping[tuple[str, str, str], str] = field(default_factory=dict)
    """By record, member and flag: the field that is true when the flag is set."""
    lists: Mapping[tuple[str, str], WalkEntry] = field(default_factory=dict)
    """By the record that has the list, and its member."""
    entries: Mapping[tuple[str, str], WalkEntry] = field(default_factory=dict)
    """By the record that is on the list, and the member by which it is."""
    containers: Mapping[tuple[str, str], MemberEntry] = field(default_factory=dict)
    """container_of(): by structure and member; ``{0}`` is the member."""
    calls: Mapping[str, CallEntry] = field(default_factory=dict)
    """By C function; ``name/5`` is that of calls with five arguments."""
    calls_on: Mapping[tuple[str, str], CallEntry] = field(default_factory=dict)
    """By C function and the record that the first argument is, or of which it is the size."""
    names: Mapping[str, NameEntry] = field(default_factory=dict)
    sizes: Mapping[str, NameEntry] = field(default_factory=dict)
    """sizeof(): by structure."""
    each: Mapping[str, EachEntry] = field(default_factory=dict)
    guards: Mapping[str, GuardEntry] = field(default_factory=dict)
    stores: Mapping[tuple[str, str], Hook] = field(default_factory=dict)
    """By record and member, which has ``++`` or ``--`` behind it for an increment or a decrement."""
    before: Mapping[str, Hook] = field(default_factory=dict)
    """By C function: before a call of it."""
    after: Mapping[str, Hook] = field(default_factory=dict)
    """By C function, or ``caller(): function``: after a call of it."""
    returns: Mapping[str, Hook] = field(default_factory=dict)
    """By C function: before it returns."""
    mappings: Mapping[tuple[str, str], MappingEntry] = field(default_factory=dict)
    """By record and member."""
    mapped_stores: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """By structure and member: what a store there is instead."""
    mapped_stores_in: Mapping[tuple[str, str, str], str] = field(default_factory=dict)
    """By C function, structure and member, of which each may be ``*``: instead of an entry of `mapped_stores`."""
    mapped_values: Mapping[tuple[str, str], NameEntry] = field(default_factory=dict)
    """By structure and member: the value of a load. Other contents are not modelled, and cannot be tested."""
    member_calls: Mapping[tuple[str, str], CallEntry] = field(default_factory=dict)
    """By C function and the member whose address is among the arguments: ``Record.member``, or ``struct.member`` of
    mapped memory. ``{0:owner}`` is then the record that has the member or the mapping."""
    asm: Mapping[str, AsmEntry] = field(default_factory=dict)
    """By instructions, joined by ``; ``."""
    offsets: Mapping[tuple[str, str], NameEntry] = field(default_factory=dict)
    """offsetof(): by structure and member."""
    call_makers: Mapping[str, str] = field(default_factory=dict)
    """Macros that make a function of a name, as ``kvm_x86_call(name)(x)``, with what precedes that name."""
    user_accesses: Mapping[str, UserAccess] = field(default_factory=dict)
    """By macro."""
    user_structs: Mapping[str, str] = field(default_factory=dict)
    """Structures in user memory, with the reason: a pointer to one is a number."""
    opaque: Mapping[str, str] = field(default_factory=dict)
    """Structures of which the model has nothing, with the reason: stores to a local of one have no effect."""
    null_functions: frozenset[str] = frozenset()
    """Functions that stand for none in a member that is a function."""
    mirrored: frozenset[str] = frozenset()
    """C functions that the model has; these are translated, and what they call. Empty for all of the files."""
    by_hand: Mapping[str, str] = field(default_factory=dict)
    """C functions of the files that are not translated, with the reason: the model's are used. ``name/5`` is that of
    kernels whose function has five parameters."""

    def record_of_struct(self, name: str) -> type[Record] | None:
        """Return the model's record for a structure; None if it has none."""
        known = self.records.get(name, "".join(word.capitalize() for word in name.split("_")))
        return Record.registry.get(known)

    def why_by_hand(self, name: str, count: int) -> str | None:
        """Return why a function with a number of parameters is not translated on purpose; None for any other."""
        return self.by_hand.get(f"{name}/{count}") or self.by_hand.get(name)

    def call(self, name: str, count: int) -> CallEntry | None:
        """Return the entry for a call with a number of arguments; None if there is none."""
        return self.calls.get(f"{name}/{count}") or self.calls.get(name)

    def description(self) -> str:
        """Return all texts of the tables, for a digest."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("kernel", "scope")}
        return repr({name: _sorted(value) for name, value in sorted(plain.items())})


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return sorted(map(repr, value.items()))
    return sorted(value) if isinstance(value, frozenset) else value
