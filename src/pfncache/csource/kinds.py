# SPDX-License-Identifier: GPL-2.0-only
"""What a C value is in the model: a number, a truth value, a record, a structure that is taken apart."""

from __future__ import annotations

import ast
import enum
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints

from pfncache.csource.parse import CType
from pfncache.csource.tables import Tables
from pfncache.lang.records import Bound, Record, record_of


class Form(enum.Enum):
    """How a C value is represented."""

    VOID = enum.auto()
    INT = enum.auto()
    """A number, or an address that is a number."""
    BOOL = enum.auto()
    RECORD = enum.auto()
    """A reference to a record, or None."""
    ERRPTR = enum.auto()
    """A reference to a record beside a negative errno, of which one is 0 or None."""
    STRUCT = enum.auto()
    """A structure without a record: its members are locals."""
    TUPLE = enum.auto()
    """A tuple of records."""
    FUNCTION = enum.auto()
    OPAQUE = enum.auto()
    """A structure of which the model has nothing."""
    GUEST = enum.auto()
    """A pointer into guest memory, which has the kernel mapping of a record."""


@dataclass(frozen=True)
class Kind:
    """The representation of a value, with its record or structure."""

    form: Form
    record: type[Record] | None = None
    struct: str = ""

    def __str__(self) -> str:
        return self.record.__name__ if self.record is not None else self.struct or self.form.name.lower()


VOID, INT, BOOL = Kind(Form.VOID), Kind(Form.INT), Kind(Form.BOOL)
FUNCTION = Kind(Form.FUNCTION)
CONTENTS = Kind(Form.OPAQUE, struct="contents of memory that is not modelled")
SIMPLE = {"int": INT, "bool": BOOL, "void": VOID, "opaque": CONTENTS}
"""Kinds by the names that entries of the tables have for them."""


@dataclass
class Typed:
    """An expression of the modelling language, and what its value is."""

    tree: ast.expr
    kind: Kind = INT
    error: ast.expr | None = None
    """Of an ERRPTR: the errno."""
    place: Any = None
    """Of a structure or an address: the local that it is, or that it points to."""
    is_address: bool = False
    """The value is the address of `place`, not what is there."""
    is_content: bool = False
    """The value is one that the tables have for contents that are not modelled."""
    store: tuple[str, ast.expr] | None = None
    """Of a member that is stored in another way: the tables' text for it, and the structure."""


@dataclass
class Layout:
    """Structures and types that the sources and headers define."""

    tables: Tables
    structs: dict[str, dict[str, CType]] = field(default_factory=dict)
    typedefs: dict[str, CType] = field(default_factory=dict)

    def resolve(self, kind: CType) -> CType:
        """Return a type without the typedefs of structures and functions."""
        known = self.typedefs.get(kind.base) if not kind.is_struct else None
        if known is None or not (known.is_struct or known.is_function or known.stars):
            return kind
        return CType(known.base, known.is_struct, kind.stars + known.stars, known.is_function, kind.is_array)

    def kind_of(self, given: CType) -> Kind:
        """Return the representation of a type."""
        kind = self.resolve(given)
        if kind.is_function:
            return FUNCTION
        if kind.is_struct and kind.base in self.tables.user_structs:
            return INT
        if kind.is_struct and kind.base in self.tables.opaque:
            return Kind(Form.OPAQUE, struct=kind.base)
        if kind.is_struct and kind.stars <= 1:
            record = self.tables.record_of_struct(kind.base)
            if record is not None:
                return Kind(Form.RECORD, record)
            return Kind(Form.STRUCT, struct=kind.base)
        if kind.stars == 0:
            return VOID if kind.base == "void" else BOOL if kind.base == "bool" else INT
        return INT

    def is_out(self, given: CType) -> bool:
        """Return whether a parameter of this type is a pointer through which a result is returned."""
        kind = self.resolve(given)
        if kind.is_function or kind.is_array:
            return False
        if kind.stars > 1:
            return kind.base != "char"
        return kind.stars == 1 and not kind.is_struct and kind.base not in ("void", "char", "u8")

    def members(self, struct: str) -> dict[str, CType]:
        """Return the members of a structure."""
        return self.structs.get(struct, {})


@cache
def _hints(record: Any) -> dict[str, Any]:
    return get_type_hints(record, localns=dict(Record.registry), include_extras=True)


def add_member(record: type[Record], name: str, kind: Kind) -> None:
    """Give a record a member that it has in a patched kernel alone."""
    hints: dict[Form, Any] = {Form.BOOL: bool, Form.INT: Annotated[int, Bound(-128, 127)]}
    record.add_field(name, hints[kind.form] if kind.form in hints else cast(Any, kind.record) | None)
    _hints.cache_clear()


def member_kind(record: type[Record], name: str) -> Kind | None:
    """Return the representation of a record's member; None if there is no such member."""
    if name.startswith("host_") or name in ("record_name", "role", "slab_owner"):
        return None
    hint = _hints(cast(Any, record)).get(name)
    return kind_of_hint(hint) if hint is not None else None


def kind_of_hint(hint: Any) -> Kind:
    """Return the representation of an annotated value of the model."""
    if hint is None or hint is type(None):
        return VOID
    found = record_of(hint)
    if found is not None:
        return Kind(Form.RECORD, found)
    if isinstance(hint, type) and issubclass(hint, Record):
        return Kind(Form.RECORD, hint)
    if get_origin(hint) is tuple:
        item = get_args(hint)[0]
        if isinstance(item, type) and issubclass(item, Record):
            return Kind(Form.TUPLE, item)
    return BOOL if hint is bool else INT


def kind_of_text(text: str) -> Kind:
    """Return the representation that a table's entry names."""
    if text in SIMPLE:
        return SIMPLE[text]
    if text.endswith("*"):
        return Kind(Form.TUPLE, Record.registry[text.removesuffix("*")])
    if text.startswith("struct "):
        return Kind(Form.OPAQUE, struct=text.removeprefix("struct "))
    name, _, error = text.partition("|")
    return Kind(Form.ERRPTR if error else Form.RECORD, Record.registry[name])


def annotation(kind: Kind) -> ast.expr:
    """Return the annotation of a local of this kind."""
    if kind.record is not None:
        return ast.BinOp(ast.Name(kind.record.__name__, ast.Load()), ast.BitOr(), ast.Constant(None))
    if kind.form is Form.FUNCTION:
        return ast.Name("object", ast.Load())
    if kind.form is Form.VOID:
        return ast.Constant(None)
    return ast.Name("bool" if kind.form is Form.BOOL else "int", ast.Load())


def null_of(kind: Kind) -> ast.expr:
    """Return NULL, or zero, of this kind."""
    if kind.form in (Form.RECORD, Form.ERRPTR):
        return ast.Constant(None)
    return ast.Constant(False if kind.form is Form.BOOL else 0)
