# SPDX-License-Identifier: GPL-2.0-only
"""Where C and model call each other, locks and context are the same as without the C."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from pfncache.check.system import Heap, System
from pfncache.csource.kvm.adapter import unadapted
from pfncache.csource.kvm.joined import ADAPTERS, HELPERS, tables
from pfncache.csource.kvm.translation import FILES, translate
from pfncache.csource.load import load
from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.design import Design
from pfncache.designs.from_c import patch_of, translation_of
from pfncache.lang.atomic import WouldBlock
from pfncache.lang.report import PropertyViolated
from pfncache.lang.tracing import run_as
from pfncache.linux.kernel.locking.mutex import Mutex
from pfncache.linux.kernel.locking.rwsem import RwSemaphore
from pfncache.linux.kernel.locking.spinlock import RwLock, SpinLock
from pfncache.linux.vmlinux import Vmlinux
from pfncache.scenarios import DEFAULT_SCENARIOS
from pfncache.verify.systems import make_system
from tests.csource.kvm.trees import source

LOCKS = (Mutex, RwSemaphore, RwLock, SpinLock)
METHODS = {name for lock in LOCKS for name in vars(lock) if "lock" in name or name.startswith("acquire")}
GUARDS = {"mutex", "spin_lock", "read_lock", "write_lock", "read_lock_irq", "write_lock_irq", "srcu_read_lock",
          "down_read", "down_write"}  # fmt: skip
FAULTED = {"page.lock.unlock"}
"""What an adapter does in the place of a caller of the C in mm/: __do_fault() unlocks a poisoned page."""
ARITHMETIC = {"gpa_to_gfn", "hva_to_gfn_memslot", "gfn_to_hva_memslot"}
"""Functions without effect, which the C calls at other places."""
Contexts = dict[str, set[tuple[tuple[str, ...], int, int, int]]]


def functions() -> list[tuple[str, Callable[..., Any]]]:
    return [
        (f"{owner.__name__}.{name}", function)
        for owner in (*ADAPTERS, *HELPERS)
        for name, function in vars(owner).items()
        if callable(function) and not name.startswith("__")
    ]


def lock_calls(function: Callable[..., Any]) -> set[str]:
    """The calls in a function that take or drop a lock."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in METHODS | GUARDS:
                found.add(ast.unparse(node.func))
    return found


@pytest.mark.parametrize(("name", "function"), functions(), ids=[name for name, _ in functions()])
def test_what_stands_between_c_and_model_takes_no_lock(name: str, function: Callable[..., Any]) -> None:
    assert lock_calls(function) - FAULTED == set()


def test_an_entry_of_the_tables_takes_a_lock_only_if_its_function_does() -> None:
    taking = {name for name, entry in tables().calls.items() if any(f".{m}(" in entry.text for m in METHODS)}
    assert {name for name in taking if "lock" not in name.lower()} == set()


def held(kernel: Any, task: Any) -> tuple[tuple[str, ...], int, int, int]:
    """The locks that are held, and the context of the running task; nothing else runs."""
    locks = []
    for record in kernel.host_locks:
        values = record.__dict__
        if values.get("held") or values.get("writer") or values.get("readers"):
            locks.append(record.record_name)
    values = task.__dict__
    return tuple(sorted(locks)), values["preempt_count"], values["irqs_disabled"], values["srcu_depth"]


def records_of(system: System) -> list[Any]:
    return [record for pool in Heap.of(system).pools.values() for record in pool]


def contexts(design: Design, scenario: str, names: set[str]) -> Contexts:
    """The contexts in which functions begin when the actors of a scenario run one after the other."""
    system = make_system(design, scenario)
    kernel = system.kernel
    kernel.host_locks = [record for record in records_of(system) if isinstance(record, LOCKS)]
    found: Contexts = defaultdict(set)

    def wrap(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **keywords: Any) -> Any:
            found[name].add(held(kernel, actor.task))
            return function(*arguments, **keywords)

        return wrapper

    for name in names:
        for form in (name, f"c_{name}"):  # where the C's takes something else, C calls that one
            if hasattr(kernel, form):
                kernel.__dict__[form] = wrap(name, getattr(kernel, form))
    for actor in system.actors:
        with run_as(actor.task):
            try:
                for call in actor.calls:
                    name = getattr(call.function, "__name__", "")
                    getattr(kernel, name, call.function)(*call.args)
            except (WouldBlock, PropertyViolated, AssertionError):
                continue
    return found


@pytest.mark.slow
def test_functions_are_called_in_the_same_context() -> None:
    """What the C calls of the model, and the model of the C, begins with the locks that the hand-written code holds."""
    base = DESIGNS["mainline-7.3"]
    patch = patch_of(translate(source("7.3.4"), version="7.3.4"))
    translation = translation_of(patch)
    assert translation is not None
    names = {name for name in (*translation.functions, "hva_to_pfn", "put_page", "kmap", "kvm_unmap_gfn_range")
             if hasattr(base.kernel(), name) and not name.startswith("c_")}  # fmt: skip
    by_hand: Contexts = defaultdict(set)
    from_c: Contexts = defaultdict(set)
    for scenario in DEFAULT_SCENARIOS:
        for found, design in ((by_hand, base), (from_c, (base + [patch]).named("c", "c"))):
            for name, seen in contexts(design, scenario, names).items():
                found[name] |= seen
    differing = {
        n: (by_hand[n] ^ from_c[n]) for n in names - ARITHMETIC if by_hand[n] != from_c[n] and by_hand[n] and from_c[n]
    }
    assert differing == {}


def test_no_function_of_the_model_stays_where_the_c_has_another_form() -> None:
    translation = translate(source("7.3.4"), version="7.3.4")
    loaded = load(source("7.3.4"), FILES, tables())
    assert unadapted(Vmlinux, loaded, dict(translation.functions)) == {}
    without = {n: f for n, f in translation.functions.items() if n != "kvm_gmem_punch_hole"}
    assert set(unadapted(Vmlinux, loaded, without)) == set()  # scenarios alone call it
    del without["kvm_mmu_notifier_release"]
    (refusal,) = unadapted(Vmlinux, loaded, without).values()
    assert refusal.what == (
        "the model's kvm_mmu_notifier_release() takes or returns something else, and mmu_notifier_release() calls it"
    )
