# SPDX-License-Identifier: GPL-2.0-only
"""Small builders of Python syntax trees."""

from __future__ import annotations

import ast
import copy
import functools
import re
from collections.abc import Callable

PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


def name(word: str) -> ast.Name:
    """Return a read of a local or global."""
    return ast.Name(word, ast.Load())


class RawName(ast.Name):
    """A read of a local that may have no value: it is passed on, with a flag that says whether it has one."""


def raw(word: str) -> ast.Name:
    """Return a read of a local that passes it on."""
    return RawName(word, ast.Load())


def constant(value: bool | int | str | None) -> ast.Constant:
    """Return a constant."""
    return ast.Constant(value)


def member(base: ast.expr, word: str) -> ast.Attribute:
    """Return ``base.word``."""
    return ast.Attribute(base, word, ast.Load())


def method(word: str) -> ast.Attribute:
    """Return ``self.word``."""
    return member(name("self"), word)


def call(function: ast.expr, *arguments: ast.expr) -> ast.Call:
    """Return a call."""
    return ast.Call(function, list(arguments), [])


def stored(expression: ast.expr) -> ast.expr:
    """Return an expression as the target of an assignment."""
    if isinstance(expression, ast.Name):
        return ast.Name(expression.id, ast.Store())
    if isinstance(expression, ast.Attribute):
        return ast.Attribute(expression.value, expression.attr, ast.Store())
    assert isinstance(expression, ast.Tuple)
    return ast.Tuple([stored(item) for item in expression.elts], ast.Store())


def assign(target: ast.expr, value: ast.expr) -> ast.stmt:
    """Return an assignment."""
    return ast.Assign([stored(target)], value)


def local(word: str, hint: ast.expr, value: ast.expr) -> ast.stmt:
    """Return an assignment to a local, with its annotation unless that is of a number."""
    if isinstance(hint, ast.Name):
        return ast.Assign([ast.Name(word, ast.Store())], value)
    return ast.AnnAssign(ast.Name(word, ast.Store()), hint, value, 1)


def negated(test: ast.expr) -> ast.expr:
    """Return ``not test``."""
    return (
        test.operand if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) else ast.UnaryOp(ast.Not(), test)
    )


def ends(statements: list[ast.stmt]) -> bool:
    """Return whether control never reaches the end of a block."""
    if not statements:
        return False
    last = statements[-1]
    if isinstance(last, ast.Return | ast.Break | ast.Continue):
        return True
    if isinstance(last, ast.If):
        return bool(last.orelse) and ends(last.body) and ends(last.orelse)
    if isinstance(last, ast.With):
        return ends(last.body)
    return False


@functools.cache
def _parsed(text: str) -> ast.expr:
    body = ast.parse(PLACEHOLDER.sub(lambda m: f"_arg_[{m.group(1)!r}]", text), mode="eval").body
    for node in ast.walk(body):
        for attribute in ("lineno", "col_offset", "end_lineno", "end_col_offset"):
            if hasattr(node, attribute):
                delattr(node, attribute)
    return body


def filled(text: str, argument: Callable[[str], ast.expr]) -> ast.expr:
    """Return the expression in `text`, with what `argument` returns for each of its placeholders."""

    class Fill(ast.NodeTransformer):
        def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
            if isinstance(node.value, ast.Name) and node.value.id == "_arg_":
                assert isinstance(node.slice, ast.Constant)
                return argument(str(node.slice.value))
            return self.generic_visit(node)

    result = Fill().visit(copy.deepcopy(_parsed(text)))
    assert isinstance(result, ast.expr)
    return result


def placeholders(text: str) -> list[str]:
    """Return the placeholders of a text, in order."""
    return PLACEHOLDER.findall(text)


PLACED = (ast.expr, ast.stmt, ast.arg, ast.keyword)
"""Nodes that have a line."""


def place(tree: ast.AST, line: int) -> None:
    """Give a line to each node of a tree that has none. What is below a node that has one has one too."""
    if isinstance(tree, PLACED):
        if hasattr(tree, "lineno"):
            return
        tree.lineno = tree.end_lineno = line
        tree.col_offset = tree.end_col_offset = 0
    for name in tree._fields:
        value = getattr(tree, name, None)
        if isinstance(value, ast.AST):
            place(value, line)
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, ast.AST):
                    place(item, line)
