# SPDX-License-Identifier: GPL-2.0-only
"""A small kernel for translated C of our own: records, a lock, tables, and two ways to run a function."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from typing import Annotated, Any

from pfncache.check.compile.compiler import compile_system
from pfncache.check.program.layout import link
from pfncache.check.shortest import search_shortest
from pfncache.check.system import Actor, Call, System
from pfncache.check.verdict import Verdict
from pfncache.csource.load import Loaded, load_text
from pfncache.csource.tables import CallEntry, EachEntry, GuardEntry, Hook, MemberEntry, NameEntry, Tables, WalkEntry
from pfncache.lang.atomic import atomic, guard
from pfncache.lang.records import Bound, Record
from pfncache.lang.syntax import syntax_of

Small = Annotated[int, Bound(-64, 63)]


class CLock(Record):
    held: bool

    @atomic
    def take(self) -> None:
        assert not self.held
        self.held = True

    @atomic
    def drop(self) -> None:
        assert self.held
        self.held = False


class CNode(Record):
    number: Small
    ready: bool
    is_old: bool
    next: CNode | None
    part_size: Small
    """The C has `part.size`."""


class CWorld(Record):
    lock: CLock
    nodes: tuple[CNode, ...]
    head: CNode | None
    result: Small
    trace: Small


@guard
def locked(lock: CLock) -> Iterator[None]:
    lock.take()
    yield
    lock.drop()


class CKernel:
    """The functions that the model of the tests has."""

    LIMIT = 3

    def first_node(self, world: CWorld) -> CNode | None:
        return world.head

    def twice(self, number: int) -> int:
        return number + number

    def split(self, number: int) -> tuple[int, int]:
        return number // 4, number % 4

    def find(self, world: CWorld, number: int) -> tuple[CNode | None, int]:
        for node in world.nodes:
            if node.number == number:
                return node, 0
        return None, -2

    def evens(self, world: CWorld) -> Iterator[CNode]:
        for node in world.nodes:
            if node.number % 2 == 0:
                yield node

    def note(self, world: CWorld) -> None:
        world.trace += 1


TABLES = Tables(
    kernel=CKernel,
    scope={"CLock": CLock, "CNode": CNode, "CWorld": CWorld, "locked": locked, "EINVAL": 22, "ULONG_MAX": 63},
    config=frozenset({"CONFIG_ON"}),
    declarations="struct pair { int first; bool second; struct c_node *node; int *out; };",
    members={("CNode", "owner.id"): MemberEntry("({0}.number + 1)", "for the tests")},
    transparent=frozenset({"arch"}),
    flags={("CNode", "flags", "NODE_OLD"): "is_old"},
    lists={("CWorld", "list"): WalkEntry("{0}.nodes", "{1}.ready", "for the tests")},
    entries={("CNode", "link"): WalkEntry("", "", "for the tests", add="self.note({0})", remove="self.note({0})")},
    calls={
        "split": CallEntry("self.split({0})", "for the tests", results=("1",)),
        "find": CallEntry("self.find({0}, {1})", "for the tests", "CNode|err"),
        "take": CallEntry("{0}.take()", "for the tests", "void"),
        "drop": CallEntry("{0}.drop()", "for the tests", "void"),
        "log": CallEntry("", "for the tests", "void"),
    },
    names={"LIMIT": NameEntry("self.LIMIT", "for the tests")},
    sizes={"c_node": NameEntry("8", "for the tests")},
    each={"for_each_even": EachEntry("self.evens({1})", (0,), "for the tests")},
    guards={"lock": GuardEntry("locked({0})", "for the tests")},
    stores={("CWorld", "result"): Hook("self.note({0})", "for the tests", unless="LIMIT")},
)


def loaded(text: str, tables: Tables = TABLES) -> Loaded:
    """Translate C; every function must be translated."""
    found = load_text(text, tables)
    assert {name: str(why) for name, why in found.refused.items()} == {}
    return found


def refusal(text: str, name: str = "f", tables: Tables = TABLES) -> str:
    """Return why a function is refused."""
    return str(load_text(text, tables).refused[name])


def python(text: str, name: str = "f", tables: Tables = TABLES) -> str:
    """Return what a function becomes."""
    known = syntax_of(loaded(text, tables).functions[name].__code__)
    assert known is not None
    return ast.unparse(known.tree)


def kernel_of(found: Loaded) -> Any:
    """Return a kernel that has the translated functions."""
    return type("Translated", (CKernel,), dict(found.functions))()


def world(*numbers: int) -> CWorld:
    """Return a world with a node for each number; the first is its head."""
    nodes = tuple(CNode(f"node{n}", number=number) for n, number in enumerate(numbers or (1, 2, 3)))
    for node, following in itertools.pairwise(nodes):
        node.next = following
    return CWorld("world", nodes=nodes, head=nodes[0])


def run(text: str, *arguments: Any, name: str = "f") -> Any:
    """Translate C, and call a function of it directly."""
    kernel = kernel_of(loaded(text))
    return getattr(kernel, name)(*arguments)


def search(text: str, *arguments: Any, name: str = "f") -> tuple[str, str | None]:
    """Translate C, and search the one interleaving of a function of it; return the verdict and the property."""
    kernel = kernel_of(loaded(text))
    task = CLock("task")
    system = System((Actor("f", task, (Call(getattr(kernel, name), arguments),)),), kernel)
    _, result = search_shortest(link(compile_system(system)), 10_000)
    return ("holds" if result.verdict is Verdict.HOLDS else result.verdict.value), result.property
