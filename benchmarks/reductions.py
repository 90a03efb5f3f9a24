# SPDX-License-Identifier: GPL-2.0-only
"""``python -m benchmarks.reductions``: distinct states with one reduction after the other added."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from rich.table import Table

from benchmarks.engines import console
from benchmarks.models import BESIDE, crowd
from pfncache.check.code import DEST, FIRST, NONE, OP
from pfncache.check.compile.compiler import compile_system
from pfncache.check.ops import Op
from pfncache.check.program.image import MASKS, N_MASKS, WORDS, MaskRow
from pfncache.check.program.layout import Program, link
from pfncache.check.search import Search
from pfncache.check.system import System
from pfncache.designs.catalogue import mainline_7_3
from pfncache.scenarios.shape import Shape
from pfncache.scenarios.world import MemoryKind
from pfncache.verify.systems import make_kernel_system

ALL_BITS = -1
"""A word of a mask with every bit set."""
COLUMNS = ("none", "movers", "pages", "dead variables", "persistent sets", "fewer states", "sooner")


def models() -> Iterator[tuple[str, Callable[[], System]]]:
    """Yield the models: a name, and the function that builds the system."""
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
    """Return the program with all bits of some masks set, which disables the reductions that use them."""
    image = program.image.copy()
    words = int(image[WORDS])
    masks = image[image[MASKS] :].reshape(-1, N_MASKS, words)
    masks[:, kinds, :] = ALL_BITS
    return replace(program, image=image)


def variants(build: Callable[[], System]) -> Iterator[Program]:
    """Yield the program of a system, with one more reduction each time."""
    compiled = compile_system(build())
    yield link(compiled, reduction=False)
    pages = [(code, code.where(Op.SYMMETRIC)) for code in compiled.codes]
    for code, which in pages:
        code.rows[which, OP] = Op.MOVE  # of a register to itself
        code.rows[which, DEST] = code.rows[which, FIRST]
        code.derived.clear()
    yield link(compiled).without_masks()
    for code, which in pages:
        code.rows[which, OP] = Op.SYMMETRIC
        code.rows[which, DEST] = NONE
        code.derived.clear()
    program = link(compiled)
    yield program.without_masks()
    yield with_mask(program, (MaskRow.READS, MaskRow.WRITES, MaskRow.LATER_READS, MaskRow.LATER_WRITES))
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
