# SPDX-License-Identifier: GPL-2.0-only
"""Expressions. What has several results, or an effect, is executed in statements before the expression."""

from __future__ import annotations

import ast
import re

from tree_sitter import Node

from pfncache.csource import pytree
from pfncache.csource.base import IN_TABLES
from pfncache.csource.errors import RefusedError
from pfncache.csource.kinds import BOOL, CONTENTS, INT, Form, Kind, Typed, annotation, kind_of_text
from pfncache.csource.parse import child, children, line_of, peel, shown, text_of
from pfncache.csource.scope import Local
from pfncache.csource.user import UserLayer

BINARY: dict[str, type[ast.operator]] = {
    "+": ast.Add, "-": ast.Sub, "*": ast.Mult, "/": ast.FloorDiv, "%": ast.Mod, "&": ast.BitAnd, "|": ast.BitOr,
    "^": ast.BitXor, "<<": ast.LShift, ">>": ast.RShift,
}  # fmt: skip
COMPARE: dict[str, type[ast.cmpop]] = {
    "==": ast.Eq, "!=": ast.NotEq, "<": ast.Lt, "<=": ast.LtE, ">": ast.Gt, ">=": ast.GtE,
}  # fmt: skip
UNARY: dict[str, type[ast.unaryop]] = {"-": ast.USub, "~": ast.Invert, "+": ast.UAdd}
UNSIGNED_MAX = "ULONG_MAX"
UNSIGNED = frozenset({"u64", "__u64", "ulong", "size_t", "gfn_t", "gpa_t", "hva_t"})
TYPES = UNSIGNED | {"u8", "u16", "u32", "s64", "uint", "pgoff_t"}
"""Names of types."""


class ExpressionLayer(UserLayer):
    """The layer for expressions."""

    def expression(self, node: Node, wanted: Kind | None = None) -> Typed:
        """Translate an expression."""
        self.line = line_of(node)
        found = self._expression(node, wanted)
        pytree.place(found.tree, line_of(node))
        return found

    def _expression(self, node: Node, wanted: Kind | None) -> Typed:
        if self.tables.mappings and node.type in ("field_expression", "pointer_expression", "subscript_expression"):
            place = self.accessed(node)
            if place is not None:
                return self.load(node, place)
        return self._plain_expression(node, wanted)

    def _plain_expression(self, node: Node, wanted: Kind | None) -> Typed:  # noqa: PLR0911 - a case for each construct
        match node.type:
            case "identifier":
                return self.identifier(node, wanted)
            case "field_expression":
                return self.field(node)
            case "parenthesized_expression":
                return self._expression(children(node)[0], wanted)
            case "cast_expression":
                return self._expression(child(node, "value"), wanted)
            case "call_expression":
                return self.call(node)
            case "binary_expression":
                return self._binary(node)
            case "unary_expression":
                return self._unary(node)
            case "pointer_expression":
                return self.address(node) if text_of(child(node, "operator")) == "&" else self.pointed(node)
            case "conditional_expression":
                return self._conditional(node, wanted)
            case "number_literal" | "char_literal":
                return self._number(node)
            case "true" | "false":
                return Typed(pytree.constant(node.type == "true"), BOOL)
            case "null":
                return self.null(wanted)
            case "string_literal":
                return Typed(pytree.constant(text_of(node)[1:-1]))
            case "assignment_expression":
                self.before += self.assignment(node)
                return self.expression(child(node, "left"))
            case "update_expression":
                return self._update(node)
            case "comma_expression":
                self.before += self.effect(child(node, "left"))
                return self.expression(child(node, "right"), wanted)
            case "sizeof_expression":
                return self._size(node)
            case "offsetof_expression":
                return self._offset(node)
            case "subscript_expression":
                return self.element(node)
        raise self.refuse(node, f"{node.type.replace('_', ' ')} {shown(node)!r}", "write it with plain expressions")

    # The layers above

    def call(self, node: Node) -> Typed:
        """Translate a call."""
        raise NotImplementedError

    def assignment(self, node: Node) -> list[ast.stmt]:
        """Translate an assignment."""
        raise NotImplementedError

    def effect(self, node: Node) -> list[ast.stmt]:
        """Translate an expression whose value is not used."""
        raise NotImplementedError

    # Conversions

    def converted(self, node: Node, value: Typed, kind: Kind) -> ast.expr:
        """Return a value as one of another kind."""
        if kind.form is Form.BOOL:
            return self.truth(value)
        if kind.form in (Form.RECORD, Form.ERRPTR):
            is_zero = isinstance(value.tree, ast.Constant) and value.tree.value == 0 and self.is_number(value.kind)
            if is_zero:
                return pytree.constant(None)
            if value.kind.form not in (Form.RECORD, Form.ERRPTR):
                raise self.refuse(node, f"{shown(node)!r} is no {kind} in the model", IN_TABLES)
            if None not in (kind.record, value.kind.record) and kind.record is not value.kind.record:
                raise self.refuse(node, f"{shown(node)!r} is a {value.kind} in the model, not a {kind}", IN_TABLES)
            return value.tree
        if self.is_number(kind):
            if value.kind.form is Form.RECORD and value.kind.record is None:
                return pytree.constant(0)
            if not self.is_number(value.kind):
                raise self.refuse(node, f"{shown(node)!r} is no number in the model but a {value.kind}", IN_TABLES)
        return value.tree

    def truth(self, value: Typed) -> ast.expr:
        """Return whether a value is not zero, and not NULL."""
        if value.kind.form is Form.OPAQUE:
            raise RefusedError(self.line, f"a test of {value.kind.struct}", IN_TABLES)
        if value.is_address:
            is_out = isinstance(value.place, Local) and value.place.is_out
            return pytree.name(value.place.given) if is_out else pytree.constant(True)
        if value.kind.form is Form.STRUCT:
            is_nullable = isinstance(value.place, Local) and value.place.is_nullable
            return pytree.name(value.place.given) if is_nullable else pytree.constant(True)
        if value.kind.form in (Form.BOOL, Form.GUEST):
            return value.tree
        if value.kind.form is Form.ERRPTR:  # an error is no NULL
            assert value.error is not None
            is_set = ast.Compare(value.tree, [ast.IsNot()], [pytree.constant(None)])
            failed = ast.Compare(value.error, [ast.NotEq()], [pytree.constant(0)])
            return ast.BoolOp(ast.Or(), [is_set, failed])
        if value.kind.form is Form.RECORD:
            if isinstance(value.tree, ast.Constant):
                return pytree.constant(False)
            return ast.Compare(value.tree, [ast.IsNot()], [pytree.constant(None)])
        if isinstance(value.tree, ast.Constant):
            return pytree.constant(bool(value.tree.value))
        return ast.Compare(value.tree, [ast.NotEq()], [pytree.constant(0)])

    def condition(self, node: Node) -> ast.expr:
        """Translate an expression that is tested."""
        tree = self.truth(self.expression(node))
        pytree.place(tree, line_of(node))
        return tree

    # Literals and sizes

    def _number(self, node: Node) -> Typed:
        text = text_of(node)
        if node.type == "char_literal":
            return Typed(pytree.constant(ord(text[1])))
        digits = re.sub(r"[uUlL]+$", "", text)
        if digits == "-1" and re.search("[uU]", text):
            return Typed(self._scope_constant(node, UNSIGNED_MAX))
        try:
            octal = re.fullmatch(r"-?0[0-7]+", digits)
            return Typed(pytree.constant(int(digits, 8 if octal else 0)))
        except ValueError:
            raise self.refuse(node, f"the number {text}", "write an integer") from None

    def _size(self, node: Node) -> Typed:
        value, word = node.child_by_field_name("value"), ""
        if value is not None:
            inner = peel(value)
            if inner.type == "pointer_expression":
                inner = peel(child(inner, "argument"))
            local = self.local(inner)
            word = local.type.base if local is not None else text_of(inner)
        else:
            word = re.sub(r"^(struct|union)\s+", "", text_of(child(node, "type")).strip())
        if word not in self.tables.sizes:
            raise self.refuse(node, f"sizeof({word})", IN_TABLES)
        return Typed(self.fill(node, self.tables.sizes[word].text, []))

    def _offset(self, node: Node) -> Typed:
        place = (text_of(child(node, "type")).strip(), text_of(child(node, "member")))
        if place not in self.tables.offsets:
            raise self.refuse(node, f"offsetof(struct {place[0]}, {place[1]})", IN_TABLES)
        return self.known_value(node, self.tables.offsets[place])

    # Operators

    def _unary(self, node: Node) -> Typed:
        operator, argument = text_of(child(node, "operator")), child(node, "argument")
        literal = peel(argument)
        if operator in "-~" and literal.type == "number_literal" and re.search("[uU]", text_of(literal)):
            if (operator, int(re.sub(r"\D", "", text_of(literal)))) in (("-", 1), ("~", 0)):
                return Typed(self._scope_constant(node, UNSIGNED_MAX))
        if operator == "!":
            value = self.expression(argument)
            if value.is_address:
                return Typed(pytree.negated(self.truth(value)), BOOL)
            if value.kind.form is Form.RECORD and not isinstance(value.tree, ast.Constant):
                return Typed(ast.Compare(value.tree, [ast.Is()], [pytree.constant(None)]), BOOL)
            if value.kind.form is Form.INT:
                return Typed(ast.Compare(value.tree, [ast.Eq()], [pytree.constant(0)]), BOOL)
            return Typed(pytree.negated(self.truth(value)), BOOL)
        value = self.expression(argument)
        if operator not in UNARY or not self.is_number(value.kind):
            raise self.refuse(node, f"the operator {operator} in {shown(node)!r}", "use - ~ ! on numbers")
        return Typed(ast.UnaryOp(UNARY[operator](), value.tree))

    def _scope_constant(self, node: Node, word: str) -> ast.expr:
        if word not in self.tables.scope:
            raise self.refuse(node, f"{shown(node)!r}: the model has no {word}", IN_TABLES)
        return pytree.name(word)

    def _binary(self, node: Node) -> Typed:
        left, operator, right = child(node, "left"), text_of(child(node, "operator")), child(node, "right")
        if operator == "-" and left.type == "parenthesized_expression" and self.names_type(text_of(peel(left))):
            return self._cast_of_negative(node, text_of(peel(left)), right)
        if operator in ("&&", "||"):
            return self._logical(node, left, operator, right)
        if operator == "&":
            flag = self.flag(left, right)
            if flag is not None:
                return Typed(flag, BOOL)
        if operator in COMPARE:
            return self._comparison(node, left, operator, right)
        if operator not in BINARY:
            raise self.refuse(node, f"the operator {operator}", "use + - * / % & | ^ << >>, comparisons, && and ||")
        first, second = self.expression(left), self.expression(right)
        if Form.OPAQUE in (first.kind.form, second.kind.form):
            return Typed(pytree.constant(0), CONTENTS)
        for side, value in ((left, first), (right, second)):
            if not self.is_number(value.kind):
                raise self.refuse(side, f"{shown(side)!r} is a {value.kind} in the model, no number", IN_TABLES)
        return Typed(ast.BinOp(first.tree, BINARY[operator](), second.tree))

    def names_type(self, word: str) -> bool:
        """Return whether a name is that of a type, which a parser that knows no types takes for a value."""
        return word in self.program.layout.typedefs or word in TYPES

    def _cast_of_negative(self, node: Node, word: str, right: Node) -> Typed:
        """Translate ``(u64)-1``, which looks like a difference: of an unsigned type, the greatest value."""
        if word not in UNSIGNED:
            return Typed(ast.UnaryOp(ast.USub(), self.expression(right).tree))
        if text_of(right) != "1":
            raise self.refuse(node, f"{shown(node)!r} is negative, and no {word}", "write a number")
        return Typed(self._scope_constant(node, UNSIGNED_MAX))

    def _comparison(self, node: Node, left: Node, operator: str, right: Node) -> Typed:
        if _is_null(left) and not _is_null(right):
            left, right = right, left
        first = self.expression(left)
        second = self.expression(right, first.kind)
        if Form.FUNCTION in (first.kind.form, second.kind.form):
            return Typed(self._same_function(node, first, operator, second), BOOL)
        if first.is_address and _is_null(right):
            test_given = self.truth(first)
            return Typed(test_given if operator == "!=" else pytree.negated(test_given), BOOL)
        if Form.OPAQUE in (first.kind.form, second.kind.form):
            raise self.refuse(node, f"{shown(node)!r} is a test of {CONTENTS.struct}", IN_TABLES)
        is_reference = first.kind.form in (Form.RECORD, Form.ERRPTR)
        if is_reference != (second.kind.form in (Form.RECORD, Form.ERRPTR)):
            raise self.refuse(node, f"{shown(node)!r} compares a {first.kind} with a {second.kind}", IN_TABLES)
        if is_reference and operator in ("==", "!="):
            test: ast.cmpop = ast.Is() if operator == "==" else ast.IsNot()
        else:
            test = COMPARE[operator]()
        return Typed(ast.Compare(first.tree, [test], [second.tree]), BOOL)

    def _same_function(self, node: Node, first: Typed, operator: str, second: Typed) -> ast.expr:
        """Compare two functions by their numbers."""
        numbers = [self.function_number(node, value) for value in (first, second)]
        return ast.Compare(numbers[0], [COMPARE[operator]()], [numbers[1]])

    def function_number(self, node: Node, value: Typed) -> ast.expr:
        """Return the number by which a function is compared; 0 for NULL."""
        if isinstance(value.place, Local):
            return pytree.name(value.place.identity)
        if value.kind.form is Form.FUNCTION and value.kind.struct:
            return pytree.constant(self.number_of(value.kind.struct))
        if isinstance(value.tree, ast.Constant):
            return pytree.constant(0)
        raise self.refuse(node, f"the function {shown(node)!r} is not known", "compare a member with a function's name")

    def number_of(self, function: str) -> int:
        """Return the number of a C function."""
        return sorted(self.program.signatures).index(function) + 1

    def _logical(self, node: Node, left: Node, operator: str, right: Node) -> Typed:
        first = self.condition(left)
        with self.collected() as late:
            second = self.condition(right)
        kind: ast.boolop = ast.And() if operator == "&&" else ast.Or()
        if not late:
            values: list[ast.expr] = []
            for value in (first, second):
                values += value.values if isinstance(value, ast.BoolOp) and type(value.op) is type(kind) else [value]
            return Typed(ast.BoolOp(kind, values), BOOL)
        found = self.temporary(BOOL)
        run = [*late, pytree.local(found.tree.id, annotation(BOOL), second)]  # type: ignore[attr-defined]
        skip: list[ast.stmt] = [pytree.local(found.tree.id, annotation(BOOL), pytree.constant(operator == "||"))]  # type: ignore[attr-defined]
        self.emit(node, ast.If(first, run, skip) if operator == "&&" else ast.If(first, skip, run))
        return found

    def _conditional(self, node: Node, wanted: Kind | None) -> Typed:
        alternative = child(node, "alternative")
        consequence = node.child_by_field_name("consequence")
        if consequence is None:  # a ?: b
            value = self.expression(child(node, "condition"))
            if not isinstance(value.tree, ast.Name | ast.Constant):
                held = self.temporary(value.kind)
                self.emit(node, pytree.assign(held.tree, value.tree))
                value = Typed(held.tree, value.kind)
            test = self.truth(value)
            return self._choice(node, test, (value, []), self._branch(alternative, wanted or value.kind))
        test = self.condition(child(node, "condition"))
        return self._choice(node, test, self._branch(consequence, wanted), self._branch(alternative, wanted))

    def _branch(self, node: Node, wanted: Kind | None) -> tuple[Typed, list[ast.stmt]]:
        with self.collected() as statements:
            value = self.expression(node, wanted)
        return value, statements

    def _choice(
        self, node: Node, test: ast.expr, yes: tuple[Typed, list[ast.stmt]], no: tuple[Typed, list[ast.stmt]]
    ) -> Typed:
        (first, run), (second, skip) = yes, no
        kind = self._common(node, first.kind, second.kind)
        values = [self.converted(node, value, kind) for value in (first, second)]
        if not run and not skip and first.error is None and second.error is None:
            if isinstance(values[0], ast.Constant) and values[0].value is None:
                return Typed(ast.IfExp(pytree.negated(test), values[1], values[0]), kind)
            return Typed(ast.IfExp(test, values[0], values[1]), kind)
        if Form.ERRPTR in (first.kind.form, second.kind.form):
            raise self.refuse(node, f"{shown(node)!r} may be a pointer or an error", "use if and else")
        held = self.temporary(kind)
        assert isinstance(held.tree, ast.Name)
        branches = [
            [*b, pytree.local(held.tree.id, annotation(kind), v)] for b, v in zip((run, skip), values, strict=True)
        ]
        self.emit(node, ast.If(test, *branches))
        return held

    def _common(self, node: Node, first: Kind, second: Kind) -> Kind:
        if first == second:
            return first
        if self.is_number(first) and self.is_number(second):
            return INT
        for one, other in ((first, second), (second, first)):
            if one.form is Form.RECORD and one.record is None:
                return other
        raise self.refuse(node, f"{shown(node)!r} is a {first} or a {second}", "give both branches one type")

    def _update(self, node: Node) -> Typed:
        """Translate ``++x`` and ``x++`` whose value is used."""
        argument = child(node, "argument")
        if node.children[0].type in ("++", "--"):
            self.before += self.effect(node)
            return self.expression(argument)
        old = self.expression(argument)
        held = self.temporary(old.kind)
        self.emit(node, pytree.assign(held.tree, old.tree))
        self.before += self.effect(node)
        return held

    def entry(self, node: Node, text: str, returns: str, arguments: list[Node]) -> Typed:
        """Return what a text of the tables becomes."""
        return Typed(self.fill(node, text, arguments), kind_of_text(returns))


def _is_null(node: Node) -> bool:
    node = peel(node)
    return node.type == "null" or (node.type == "identifier" and text_of(node) == "NULL")
