# SPDX-License-Identifier: GPL-2.0-only
"""``python -m benchmarks.reductions``: what each reduction saves, added one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from rich.table import Table

from benchmarks.engines import console
from benchmarks.models import BESIDE, crowd
from pfncache.check.compile.compiler import compile_system
from pfncache.check.engine.persistent_sets import LATER_READS, LATER_WRITES, READS, WRITES
from pfncache.check.ir import Op
from pfncache.check.program.layout import MASKS, N_MASKS, WORDS, Program, link
from pfncache.check.search import Search
from pfncache.check.system import System
from pfncache.designs.catalogue import mainline_7_3
from pfncache.scenarios.shape import Shape
from pfncache.scenarios.world import MemoryKind
from pfncache.verify.systems import make_kernel_system

EVERYTHING = -1
"""All bits of a word of a mask."""
COLUMNS = ("none", "movers", "pages", "dead variables", "persistent sets", "fewer states", "sooner")


def models() -> Iterator[tuple[str, Callable[[], System]]]:
    """What is searched, by name."""
    for beside in (BESIDE[:2], BESIDE):
        yield f"clock beside {', '.join(beside)}", partial(crowd, beside)
    for memory, operations in (
        (MemoryKind.ANON, ("dontneed", "touch")),
        (MemoryKind.ANON, ("munmap", "migrate", "mprotect")),
        (MemoryKind.GMEM_MMAP, ("punch", "allocate", "munmap")),
        (MemoryKind.GMEM, ("make-shared", "punch", "guest-access")),
    ):
        build = Shape(memory, operations).build
        yield f"{memory} beside {', '.join(operations)}", partial(make_kernel_system, mainline_7_3, build)


def with_mask(program: Program, kinds: tuple[int, ...]) -> Program:
    """A program in which some masks of every place are everything, so that what rests on them does nothing."""
    image = program.image.copy()
    words = int(image[WORDS])
    masks = image[image[MASKS] :].reshape(-1, N_MASKS, words)
    masks[:, kinds, :] = EVERYTHING
    return replace(program, image=image)


def variants(build: Callable[[], System]) -> Iterator[Program]:
    """The program of a system, with one reduction more each time."""
    compiled = compile_system(build())
    yield link(compiled, reduction=False)
    pages = [instr for code in compiled.codes for instr in code.instrs if instr.op == Op.ALIKE]
    for instr in pages:
        instr.op, instr.args = Op.MOVE, instr.args * 2  # of a register to itself
    yield link(compiled).without_masks()
    for instr in pages:
        instr.op, instr.args = Op.ALIKE, instr.args[:1]
    program = link(compiled)
    yield program.without_masks()
    yield with_mask(program, (READS, WRITES, LATER_READS, LATER_WRITES))
    yield program


def main() -> None:
    """Print the table."""
    table = Table(title="distinct states", title_justify="left")
    table.add_column("model")
    for name in COLUMNS:
        table.add_column(name, justify="right")
    for name, build in models():
        results = []
        for program in variants(build):
            Search(program).run()
            results.append(Search(program).run())
        if len({result.verdict for result in results}) > 1:
            raise RuntimeError(f"{name}: the reductions do not agree")
        first, last = results[0], results[-1]
        counts = [f"{result.states:,}" for result in results]
        saved = (f"{first.states / last.states:.0f} x", f"{first.seconds / last.seconds:.0f} x")
        table.add_row(name, *counts, *saved)
    console().print(table)


if __name__ == "__main__":
    main()
