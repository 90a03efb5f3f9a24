# SPDX-License-Identifier: GPL-2.0-only
"""Inline assembly: an asm statement becomes what the tables have for its instructions."""

from __future__ import annotations

import ast
import re

from tree_sitter import Node

from pfncache.csource import pytree
from pfncache.csource.base import IN_TABLES
from pfncache.csource.calls import CallLayer
from pfncache.csource.parse import child, children, shown, text_of
from pfncache.csource.scope import Local


class AssemblyLayer(CallLayer):
    """The layer for inline assembly."""

    def assembly(self, node: Node) -> list[ast.stmt]:
        """Translate an asm statement."""
        if node.child_by_field_name("goto_labels") is not None:
            raise self.refuse(node, f"{shown(node)!r} jumps to labels", "use a macro of the kernel")
        instructions = instructions_of(child(node, "assembly_code"))
        entry = self.tables.asm.get(instructions)
        if entry is None:
            raise self.refuse(node, f"the instructions {instructions!r}", IN_TABLES)
        operands = [
            child(operand, "value")
            for kind in ("output_operands", "input_operands")
            for operand in _operands(node.child_by_field_name(kind))
        ]
        trees = [self.fill(node, text, operands) for text in entry.texts]
        if not entry.results:
            return [ast.Expr(tree) for tree in trees]
        places = [self.expression(operands[number]).place for number in entry.results]
        if not all(isinstance(place, Local) for place in places):
            raise self.refuse(node, f"a result of {instructions!r} is no local", IN_TABLES)
        target = ast.Tuple([pytree.name(place.name) for place in places], ast.Load())
        return [*(ast.Expr(tree) for tree in trees[:-1]), pytree.assign(target, trees[-1])]


def _operands(node: Node | None) -> list[Node]:
    return children(node) if node is not None else []


def instructions_of(code: Node) -> str:
    """Return the instructions of a template, joined by ``; ``; those with LOCK_PREFIX begin with ``lock``."""
    parts = [code] if code.type == "string_literal" else children(code)
    text = "".join(
        text_of(part)[1:-1].replace("\\n", "\n").replace("\\t", " ") if part.type == "string_literal"
        else "lock " if text_of(part) == "LOCK_PREFIX" else f"{text_of(part)}\n"
        for part in parts
    )  # fmt: skip
    lines = [re.sub(r"\s+", " ", line).strip() for line in text.split("\n")]
    return "; ".join(re.sub(r"\s*,\s*", ", ", line) for line in lines if line)
