# SPDX-License-Identifier: GPL-2.0-only
"""Several C files together: which functions there are, and what each takes and returns in the model."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from pfncache.csource.facts import TextFacts, facts_of
from pfncache.csource.kinds import Form, Kind, Layout, kind_of_hint
from pfncache.csource.members import Structs, added_members
from pfncache.csource.parse import CType, FunctionNode, SourceFile
from pfncache.csource.tables import Tables
from pfncache.lang.records import Record

RETURN_ERROR = {"ERR_PTR", "ERR_CAST"}


@dataclass
class Parameter:
    """A parameter of a C function, and what it is in the model."""

    name: str
    type: CType
    kind: Kind
    is_out: bool = False
    """A pointer through which a result is returned: the model passes the value, and returns it."""
    written: set[str] = field(default_factory=set)
    """Of a structure that is taken apart: the members that the function, or one that it calls, writes."""
    is_nullable: bool = False
    """Of a structure that is taken apart: the function tests the pointer to it, which may be NULL."""


@dataclass
class Signature:
    """A C function: its text, its facts, and its form in the model."""

    function: FunctionNode
    facts: TextFacts
    parameters: list[Parameter]
    result: Kind
    method: str
    """Its name in the model."""
    names: tuple[str, ...] = ()
    """Names of the parameters in the model's function that it replaces; () if it replaces none."""

    @property
    def is_plain(self) -> bool:
        """True if one value is returned: no results through pointers, no structure, no pair with an error."""
        return (
            not any(p.is_out or p.written for p in self.parameters)
            and self.result.form not in (Form.ERRPTR, Form.STRUCT)
        )  # fmt: skip


@dataclass(frozen=True)
class ModelFunction:
    """A function of the model that C calls under its name."""

    name: str
    arity: int
    """Number of arguments without self; -1 if it varies."""
    result: Kind


class CProgram:
    """The functions of C files, with the tables that join them to the model."""

    def __init__(
        self,
        sources: Iterable[SourceFile],
        headers: Iterable[SourceFile],
        tables: Tables,
        own: SourceFile,
        before: Structs | None = None,
    ) -> None:
        self.sources, self.tables = list(sources), tables
        self.layout = Layout(tables)
        self.constants: dict[str, int] = {}
        self.texts: dict[str, str] = {}
        """Macros without arguments, with their text."""
        for source in (own, *headers, *self.sources):
            self.layout.structs.update(source.structs)
            self.layout.typedefs.update(source.typedefs)
            self.constants.update(source.enumerators)
            self.texts.update(source.constants)
        self.added = added_members(self.layout, before)
        """Members that the structures of the unpatched kernel, `before`, do not have, by record and name."""
        self.signatures: dict[str, Signature] = {}
        self.by_hand = {name: why for name, why in tables.by_hand.items() if "/" not in name}
        """Functions that are not translated on purpose, with the reason."""
        for source in self.sources:
            for name, function in source.functions.items():
                why = tables.why_by_hand(name, len(function.parameters))
                if why is not None:
                    self.by_hand[name] = why
                else:
                    self.signatures[name] = self._signature(function)
        for name, function in own.functions.items():
            if name not in self.signatures:
                self.signatures[name] = self._signature(function)
        self.own = frozenset(own.functions)
        """Functions of our own, which stand for those of the model."""
        self._fixpoint()
        for signature in self.signatures.values():
            self._name(signature)

    def _signature(self, function: FunctionNode) -> Signature:
        facts = facts_of(function)
        parameters = []
        for name, kind in function.parameters:
            if kind.base == "void" and kind.stars == 0:
                continue
            is_out = self.layout.is_out(kind)
            found = self.kind_of(kind.pointee if is_out else kind, function.file)
            is_nullable = found.form is Form.STRUCT and name in facts.tested
            parameters.append(Parameter(name, kind, found, is_out, is_nullable=is_nullable))
        return Signature(function, facts, parameters, self.kind_of(function.result), plain_name(function.name))

    def kind_of(self, kind: CType, file: str = "") -> Kind:
        """Return the representation of a type, of a parameter or local of a file."""
        name = self.tables.records_in.get((file, kind.base)) if kind.is_struct and kind.stars == 1 else None
        return Kind(Form.RECORD, Record.registry[name]) if name is not None else self.layout.kind_of(kind)

    def _fixpoint(self) -> None:
        """Find which functions return an error as a pointer, and which write members of structures."""
        changed = True
        while changed:
            changed = False
            for signature in self.signatures.values():
                if signature.result.form is Form.RECORD and self._returns_error(signature):
                    signature.result = Kind(Form.ERRPTR, signature.result.record)
                    changed = True
                for parameter in signature.parameters:
                    if parameter.kind.form is Form.STRUCT:
                        before = len(parameter.written)
                        parameter.written |= self._written(signature, parameter)
                        changed = changed or len(parameter.written) > before

    def _returns_error(self, signature: Signature) -> bool:
        facts = signature.facts
        sources = set(facts.returned_calls)
        for name in facts.returned_names:
            sources |= facts.assigned_from.get(name, set())
        return any(map(self.may_be_error, sources))

    def may_be_error(self, function: str) -> bool:
        """Return whether a function returns a pointer or an error."""
        if function in RETURN_ERROR:
            return True
        if function in self.signatures:
            return self.signatures[function].result.form is Form.ERRPTR
        known = self.tables.calls.get(function)
        return known is not None and known.returns.endswith("|err")

    def holds_error(self, facts: TextFacts, local: str) -> bool:
        """Return whether a local may hold an error instead of a pointer."""
        return any(map(self.may_be_error, facts.assigned_from.get(local, ())))

    def _written(self, signature: Signature, parameter: Parameter) -> set[str]:
        found = {member for name, member in signature.facts.member_stores if name == parameter.name}
        for name, function, position in signature.facts.passed:
            if name != parameter.name:
                continue
            called = self.signatures.get(function)
            if called is not None and position < len(called.parameters):
                found |= called.parameters[position].written
            elif function in self.tables.calls:
                for result in self.tables.calls[function].results:
                    at, _, member = result.replace("->", ".").partition(".")
                    if member and at == str(position):
                        found.add(member)
        return found

    def _name(self, signature: Signature) -> None:
        """Decide the method's name: that of the model's function that it replaces, or one of its own."""
        if signature.function.name in self.own:
            signature.method = f"c_{signature.method}"
            return
        own = getattr(self.tables.kernel, signature.method, None)
        plain = inspect.unwrap(own) if own is not None else None
        if plain is None or not hasattr(plain, "__code__"):
            return
        names = plain.__code__.co_varnames[1 : plain.__code__.co_argcount]
        hints = _hints(plain)
        result = kind_of_hint(hints.get("return"))
        same = (
            len(names) == len(signature.parameters)
            and signature.is_plain
            and not any(p.kind.form is Form.STRUCT for p in signature.parameters)
            and [kind_of_hint(hints.get(n)) for n in names] == [p.kind for p in signature.parameters]
            and result == signature.result
        )  # fmt: skip
        if same:
            signature.names = names
        else:
            signature.method = f"c_{signature.method}"

    def parameter_kinds(self, name: str) -> tuple[Kind, ...]:
        """Return the kinds of the parameters of a function of the model."""
        plain = inspect.unwrap(getattr(self.tables.kernel, name))
        hints = _hints(plain)
        return tuple(kind_of_hint(hints.get(n)) for n in plain.__code__.co_varnames[1 : plain.__code__.co_argcount])

    def model_function(self, name: str) -> ModelFunction | None:
        """Return the model's function of a C name; None if there is none."""
        return _model_function(self.tables.kernel, plain_name(name))


def plain_name(name: str) -> str:
    """Return the name of a C function in the model: Python would mangle one that begins with two underscores."""
    return name[1:] if name.startswith("__") else name


@functools.cache
def _hints(function: Any) -> dict[str, Any]:
    return get_type_hints(function, localns=dict(Record.registry), include_extras=True)


@functools.cache
def _model_function(kernel: type, name: str) -> ModelFunction | None:
    found = getattr(kernel, name, None)
    if found is None:
        return None
    plain = inspect.unwrap(found)
    if not hasattr(plain, "__code__"):
        return None
    code = plain.__code__
    arity = -1 if plain.__defaults__ else code.co_argcount - 1
    return ModelFunction(name, arity, kind_of_hint(_hints(plain).get("return")))
