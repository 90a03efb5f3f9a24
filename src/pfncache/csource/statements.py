# SPDX-License-Identifier: GPL-2.0-only
"""Statements: declarations, assignments, blocks, branches and results."""

from __future__ import annotations

import ast

from tree_sitter import Node

from pfncache.csource import pytree
from pfncache.csource.assignments import AssignmentLayer
from pfncache.csource.base import IN_TABLES
from pfncache.csource.facts import called
from pfncache.csource.jumps import Level
from pfncache.csource.kinds import INT, Form
from pfncache.csource.parse import CType, child, children, declared, line_of, peel, shown, text_of
from pfncache.csource.scope import Local


class StatementLayer(AssignmentLayer):
    """The layer for statements without loops."""

    def statement(self, node: Node) -> list[ast.stmt]:
        """Translate a statement, with what its expressions need before it."""
        with self.collected() as first:
            rest = self._statement(node)
        out = [*first, *rest]
        for statement in out:
            pytree.place(statement, line_of(node))
        return out

    def _statement(self, node: Node) -> list[ast.stmt]:
        match node.type:
            case "compound_statement":
                return self.block(children(node))
            case "declaration":
                return self.declaration(node)
            case "expression_statement":
                inner = children(node)
                return self.effect(inner[0]) if inner and text_of(inner[0]) != "fallthrough" else []
            case "if_statement":
                return self._if(node)
            case "return_statement":
                inner = children(node)
                return self.returned(node, inner[0] if inner else None)
            case "attributed_statement":  # fallthrough;
                return []
        return self.jump_or_loop(node)

    # The layer above

    def jump_or_loop(self, node: Node) -> list[ast.stmt]:
        """Translate a loop, a switch, or a jump."""
        raise NotImplementedError

    def labelled(self, nodes: list[Node], at: int) -> list[ast.stmt] | None:
        """Translate the rest of a block from a label on, if that begins a loop; None if it does not."""
        raise NotImplementedError

    def returned(self, node: Node, value: Node | None) -> list[ast.stmt]:
        """Translate a return."""
        raise NotImplementedError

    # Blocks

    def block(self, nodes: list[Node], own_scope: bool = True) -> list[ast.stmt]:
        """Translate the statements of a block. A guard has the rest of its block."""
        if own_scope:
            self.scopes.enter()
        out = self._rest(nodes, 0)
        if own_scope:
            self.scopes.leave()
        return out

    def _rest(self, nodes: list[Node], start: int) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        for at in range(start, len(nodes)):
            node = nodes[at]
            if node.type == "labeled_statement":
                loop = self.labelled(nodes, at)
                if loop is not None:
                    return out + loop
                inner = [c for c in children(node) if c.type != "statement_identifier"]
                new = self.statement(inner[0]) if inner else []
            else:
                guard = self._guard(node)
                if guard is not None:
                    first, manager = guard
                    return out + first + [self._guarded(node, manager, nodes, at + 1)]
                new = self.statement(node)
            out += new
            if pytree.ends(out):
                break  # what follows is reached by a goto alone, and translated there
        return out

    def _guarded(self, node: Node, manager: ast.expr, nodes: list[Node], at: int) -> ast.stmt:
        self.levels.append(Level(node.start_byte, is_guard=True, end=nodes[-1].end_byte))
        body = self._rest(nodes, at)
        self.levels.pop()
        statement = ast.With([ast.withitem(manager)], body or [ast.Pass()])
        pytree.place(statement, line_of(node))
        return statement

    def _guard(self, node: Node) -> tuple[list[ast.stmt], ast.expr] | None:
        """Return what comes before a guard, and the guard, of ``guard(x)(y);`` or ``CLASS(x, name)(y);``."""
        inner = children(node)
        if node.type != "expression_statement" or not inner or inner[0].type != "call_expression":
            return None
        maker = child(inner[0], "function")
        word = called(maker)
        if maker.type != "call_expression" or word not in ("guard", "CLASS"):
            return None
        names = [text_of(n) for n in children(child(maker, "arguments"))]
        return self.guard(node, names, children(child(inner[0], "arguments")))

    def guard(self, node: Node, names: list[str], arguments: list[Node]) -> tuple[list[ast.stmt], ast.expr]:
        """Return what comes before a guard of the tables, and the guard; a CLASS has a second name, its local's."""
        entry = self.tables.guards.get(names[0])
        if entry is None:
            raise self.refuse(node, f"guard({names[0]})", IN_TABLES)
        with self.collected() as first:
            if not entry.make:
                return first, self.fill(node, entry.text, arguments)
            value = self.named_call(node, entry.make, arguments)
            given = CType(entry.struct, True, 1)
            local = self.scopes.declare(
                names[1], Local(self.scopes.name(node.start_byte, names[1]), given, self.program.kind_of(given))
            )
            self.before += self.store_local(node, local, value)
            manager = self.fill(node, entry.text, [], lambda word: pytree.name(local.name))
        return first, manager

    # Branches

    def _if(self, node: Node) -> list[ast.stmt]:
        test = self.condition(child(node, "condition"))
        with self.collected():
            yes = self.statement(child(node, "consequence"))
            alternative = node.child_by_field_name("alternative")
            no = self.statement(children(alternative)[0]) if alternative is not None else []
        if not yes and not no:
            return [ast.Expr(test)] if any(isinstance(n, ast.Call) for n in ast.walk(test)) else []
        return [ast.If(test, yes or [ast.Pass()], no)]

    # Declarations

    def declaration(self, node: Node) -> list[ast.stmt]:
        """Translate a declaration of locals."""
        words = {text_of(c) for c in node.children if c.type in ("storage_class_specifier", "type_qualifier")}
        if "extern" in words or ("static" in words and not _is_constant(node, words)):
            raise self.refuse(node, f"the static local in {shown(node)!r}", "use a member of a structure")
        out: list[ast.stmt] = []
        for part in node.children_by_field_name("declarator"):
            value = part.child_by_field_name("value") if part.type == "init_declarator" else None
            word, given = declared(node, part)
            with self.collected() as first:
                new = self._declare(node, word, given, value)
            out += [*first, *new]
        return out

    def _declare(self, node: Node, word: str, given: CType, value: Node | None) -> list[ast.stmt]:
        if given.is_array:
            raise self.refuse(node, f"the array {word}", "use separate locals")
        kind, name = self.program.kind_of(given, self.signature.function.file), self.scopes.name(node.start_byte, word)
        resolved = self.program.layout.resolve(given)
        local = Local(name, given, kind, is_error=self.program.holds_error(self.facts, word))
        if kind.form is Form.STRUCT and resolved.stars == 0:
            local = self.scopes.declare(word, self.struct_local(node, name, kind))
            if value is not None and value.type != "initializer_list":
                return self.copied(node, local, self.expression(value))
            return self.initialised(node, local, value)
        if resolved.stars and self.is_number(kind) and self.tables.mappings and word in self.moving:
            self.declare_moving(self.scopes.declare(word, local))
            return self.moved(local, value) if value is not None else []
        if value is not None and resolved.stars == 1 and self._declare_known(word, local, value):
            return []
        if kind.form is Form.STRUCT or (
            resolved.stars and self.is_number(kind) and resolved.base not in ("void", "char")
        ):
            return self._declare_pointer(node, word, local, value)
        self.scopes.declare(word, local)
        if value is None:
            self.unset[name] = kind
            if local.is_error:
                self.unset[local.error] = INT
            return []
        if kind.form is Form.OPAQUE:
            return self.evaluated(value)
        return self.store_local(value, local, self.expression(value, kind))

    def _declare_known(self, word: str, local: Local, value: Node) -> bool:
        """Declare a pointer into mapped memory, or to the head of a list; return whether it is one."""
        if local.type.base == "list_head":
            local.head = peel(value)
        local.pointer = self.pointer_of(local, word, value)
        if local.pointer is None and local.head is None:
            return False
        self.scopes.declare(word, local)
        return True

    def _declare_pointer(self, node: Node, word: str, local: Local, value: Node | None) -> list[ast.stmt]:
        """Declare a pointer to a local or to a structure that is taken apart: another name for it."""
        is_in_user = local.type.is_struct and local.type.base in self.tables.user_structs
        if value is None and (self.tables.mappings or is_in_user) and local.kind.form is Form.INT:
            self.scopes.declare(word, local)  # it gets its value in an assignment
            self.unset[local.name] = local.kind
            return []
        if value is None:
            raise self.refuse(node, f"the pointer {word} has no value where it is declared", IN_TABLES)
        typed = self.expression(value)
        if isinstance(typed.place, Local) and (typed.is_address or typed.kind.form is Form.STRUCT):
            if typed.kind.form is Form.STRUCT:
                self.scopes.declare(word, typed.place)
            else:
                local.target = typed.place
                self.scopes.declare(word, local)
            return []
        raise self.refuse(node, f"the pointer {word} = {shown(value)!r}", IN_TABLES)


def _is_constant(node: Node, words: set[str]) -> bool:
    """Return whether the locals of a declaration are constants, each with its value."""
    parts = node.children_by_field_name("declarator")
    return "const" in words and all(
        part.type == "init_declarator" and child(part, "declarator").type == "identifier" for part in parts
    )
