# SPDX-License-Identifier: GPL-2.0-only
"""C files as syntax trees: the functions, structures and types that they define."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version

import tree_sitter
import tree_sitter_c
from tree_sitter import Node

from pfncache.csource.constants import value_of
from pfncache.csource.errors import RefusedError
from pfncache.csource.lexer import Prepared, prepare

VERSION = f"tree-sitter {version('tree-sitter')}, tree-sitter-c {version('tree-sitter-c')}"
"""The parser's version, which the result of a translation depends on."""
_parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_c.language()))
DECLARATORS = {
    "pointer_declarator", "parenthesized_declarator", "init_declarator", "array_declarator", "attributed_declarator",
}  # fmt: skip

MAX_SHOWN = 60
"""Characters of C that a message shows."""


@dataclass(frozen=True)
class CType:
    """A type in C: ``struct kvm *`` is ``CType("kvm", True, 1)``."""

    base: str
    """Name of the structure, or of the type."""
    is_struct: bool = False
    stars: int = 0
    is_function: bool = False
    """A pointer to a function."""
    is_array: bool = False

    @property
    def pointee(self) -> CType:
        """The type that a pointer points to."""
        return CType(self.base, self.is_struct, self.stars - 1, self.is_function)

    def __str__(self) -> str:
        return f"{'struct ' if self.is_struct else ''}{self.base}{' ' if self.stars else ''}{'*' * self.stars}"


VOID = CType("void")


@dataclass
class FunctionNode:
    """A function's definition."""

    name: str
    node: Node
    result: CType
    parameters: list[tuple[str, CType]]
    file: str

    @property
    def body(self) -> Node:
        """The block of the function."""
        body = self.node.child_by_field_name("body")
        assert body is not None
        return body

    @property
    def line(self) -> int:
        """The first line."""
        return line_of(self.node)


@dataclass
class SourceFile:
    """What a C file or header defines."""

    name: str
    functions: dict[str, FunctionNode] = field(default_factory=dict)
    refused: dict[str, RefusedError] = field(default_factory=dict)
    """Functions whose definition does not parse, or has a form that is not translated."""
    structs: dict[str, dict[str, CType]] = field(default_factory=dict)
    typedefs: dict[str, CType] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    """Object-like macros, with their text."""
    enumerators: dict[str, int] = field(default_factory=dict)
    statics: dict[str, Node] = field(default_factory=dict)
    """Variables of the file, with their declarations."""


def text_of(node: Node) -> str:
    """Return the text of a node."""
    return (node.text or b"").decode()


def shown(node: Node) -> str:
    """Return the text of a node in one line, shortened, for a message."""
    text = re.sub(r"\s+", " ", text_of(node))
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


def line_of(node: Node) -> int:
    """Return the first line of a node."""
    return node.start_point[0] + 1


def children(node: Node) -> list[Node]:
    """Return the named children of a node, without comments."""
    return [child for child in node.named_children if child.type != "comment"]


def child(node: Node, name: str) -> Node:
    """Return the child in a field that the grammar requires."""
    found = node.child_by_field_name(name)
    if found is None:
        raise RefusedError(line_of(node), f"{shown(node)!r} has no {name}", "write it in plain C")
    return found


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all below it, in the order of the text."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(reversed(current.children))


def peel(node: Node) -> Node:
    """Return an expression without the parentheses and casts around it."""
    while node.type in ("parenthesized_expression", "cast_expression"):
        node = child(node, "value") if node.type == "cast_expression" else children(node)[0]
    return node


def declarator(node: Node) -> tuple[str, int, Node, bool]:
    """Return the name that a declarator declares, its stars, the innermost node, and whether it is an array."""
    stars, is_array = 0, False
    while node.type in DECLARATORS:
        stars += node.type == "pointer_declarator"
        is_array = is_array or node.type == "array_declarator"
        node = node.child_by_field_name("declarator") or children(node)[0]
    return text_of(node), stars, node, is_array


def base_type(node: Node) -> CType:
    """Return the type that a declaration begins with. Raises RefusedError for one without a name."""
    kind = child(node, "type")
    if kind.type in ("struct_specifier", "union_specifier", "enum_specifier"):
        name = kind.child_by_field_name("name")
        if name is None:
            if kind.type == "enum_specifier":
                return CType("int")
            raise RefusedError(line_of(node), "a structure without a name", "give it one")
        return CType(text_of(name), kind.type != "enum_specifier")
    return CType(re.sub(r"\s+", " ", text_of(kind)))


def declared(node: Node, name: Node) -> tuple[str, CType]:
    """Return the name and the type that one declarator of a declaration gives."""
    word, stars, inner, is_array = declarator(name)
    base = base_type(node)
    if inner.type == "function_declarator":
        word, inner_stars, _, _ = declarator(child(inner, "declarator"))
        return word, CType(base.base, base.is_struct, stars, is_function=inner_stars > 0)
    return word, CType(base.base, base.is_struct, stars, is_array=is_array)


def parse(text: str, name: str, config: Collection[str] = (), keep: Collection[str] = ()) -> SourceFile:
    """Parse the text of a C file. Raises SourceError for text that is no C."""
    prepared = prepare(text, config, keep, name)
    source = SourceFile(name, constants=prepared.constants)
    stack = [_parser.parse(prepared.text.encode()).root_node]
    while stack:
        node = stack.pop()
        if node.type == "function_definition":
            _function(node, source)
            continue
        if node.type in ("struct_specifier", "union_specifier") and node.child_by_field_name("body") is not None:
            _structure(node, source)
        elif node.type == "type_definition":
            _typedef(node, source)
        elif node.type == "enumerator_list":
            _enumerators(node, source)
        elif node.type == "declaration" and node.parent is not None and node.parent.type == "translation_unit":
            _variable(node, source)
        stack.extend(reversed(node.children))
    _aliases(prepared, source)
    return source


def _function(node: Node, source: SourceFile) -> None:
    inner, stars = node.child_by_field_name("declarator"), 0
    while inner is not None and inner.type != "function_declarator":
        stars += inner.type == "pointer_declarator"
        inner = inner.child_by_field_name("declarator") or next(iter(children(inner)), None)
    if inner is None:
        return
    name = text_of(child(inner, "declarator"))
    try:
        if name in source.functions or name in source.refused:
            raise RefusedError(
                line_of(node), "it is defined twice in the file", "define the CONFIG names of one of both"
            )
        if node.has_error:
            raise RefusedError(_error_line(node), "the function does not parse as C", "correct the syntax of this line")
        base = base_type(node)
        parameters = list(_parameters(child(inner, "parameters")))
        result = CType(base.base, base.is_struct, stars)
        source.functions[name] = FunctionNode(name, node, result, parameters, source.name)
    except RefusedError as error:
        source.functions.pop(name, None)
        source.refused.setdefault(name, error)


def _error_line(node: Node) -> int:
    """Return the line of the first error below a node."""
    return next((line_of(n) for n in walk(node) if n.is_error or n.is_missing), line_of(node))


def _parameters(node: Node) -> Iterator[tuple[str, CType]]:
    for parameter in children(node):
        if parameter.type != "parameter_declaration":
            raise RefusedError(line_of(parameter), "a variable number of arguments", "call a function with fixed ones")
        name = parameter.child_by_field_name("declarator")
        if name is not None:
            yield declared(parameter, name)


def _structure(node: Node, source: SourceFile) -> None:
    name = node.child_by_field_name("name")
    if name is not None:
        members = _members(child(node, "body"), text_of(name), source)
        source.structs.setdefault(text_of(name), {}).update(members)


def _members(body: Node, owner: str, source: SourceFile) -> Iterator[tuple[str, CType]]:
    """Yield the members of a structure, those of anonymous structures in it included.

    The type of a member that is a structure or union without a name is called ``owner.member``.
    """
    for member in children(body):
        if member.type != "field_declaration" or member.has_error:
            continue
        names = member.children_by_field_name("declarator")
        inner = member.child_by_field_name("type")
        if not names and inner is not None and inner.child_by_field_name("body") is not None:
            if inner.child_by_field_name("name") is None:
                yield from _members(child(inner, "body"), owner, source)
            continue
        for name in names:
            try:
                yield declared(member, name)
            except RefusedError:
                word, stars, _, is_array = declarator(name)
                known = f"{owner}.{word}"
                within = inner.child_by_field_name("body") if inner is not None else None
                if within is not None:
                    source.structs[known] = dict(_members(within, known, source))
                yield word, CType(known, True, stars, is_array=is_array)


def _typedef(node: Node, source: SourceFile) -> None:
    for name in node.children_by_field_name("declarator"):
        try:
            word, kind = declared(node, name)
        except RefusedError:
            kind_node = child(node, "type")
            word, _, _, _ = declarator(name)
            body = kind_node.child_by_field_name("body")
            if body is None:
                continue
            source.structs[word] = dict(_members(body, word, source))
            kind = CType(word, True)
        source.typedefs[word] = kind
    inner = child(node, "type")
    body = inner.child_by_field_name("body")
    name_node = inner.child_by_field_name("name")
    if body is not None and name_node is not None and inner.type == "struct_specifier":
        source.structs[text_of(name_node)] = dict(_members(body, text_of(name_node), source))


def _enumerators(node: Node, source: SourceFile) -> None:
    value = -1
    for enumerator in children(node):
        if enumerator.type != "enumerator":
            continue
        given = enumerator.child_by_field_name("value")
        number = constant(text_of(given), source.enumerators) if given is not None else value + 1
        if number is None:
            return
        value = source.enumerators[text_of(child(enumerator, "name"))] = number


def constant(text: str, known: dict[str, int]) -> int | None:
    """Return the value of a constant expression of numbers and known names; None for any other."""
    words = re.sub(r"\bBIT(?:_ULL)?\(([^()]*)\)", r"(1 << (\1))", text)
    words = re.sub(r"\b(0[xX][0-9a-fA-F]+|\d+)[uUlL]+\b", r"\1", words)
    words = re.sub(r"\b[A-Za-z_]\w*\b", lambda m: str(known.get(m.group(), m.group())), words)
    if not re.fullmatch(r"[\s()0-9a-fxA-FX+\-*<>|&~]+", words) or re.search(r"(?<![\w])[a-zA-Z_]", words):
        return None
    return value_of(words)


def _variable(node: Node, source: SourceFile) -> None:
    for name in node.children_by_field_name("declarator"):
        word, _, inner, _ = declarator(name)
        if inner.type == "identifier":
            source.statics[word] = node


def _aliases(prepared: Prepared, source: SourceFile) -> None:
    """Give numbers to the macros that are numbers."""
    for name, text in prepared.constants.items():
        number = constant(text, source.enumerators)
        if number is not None and text:
            source.enumerators.setdefault(name, number)
