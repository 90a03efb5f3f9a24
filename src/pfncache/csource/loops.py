# SPDX-License-Identifier: GPL-2.0-only
"""Loops, switches and gotos."""

from __future__ import annotations

import ast

from tree_sitter import Node

from pfncache.csource import pytree
from pfncache.csource.base import IN_TABLES
from pfncache.csource.facts import LOOPS, called
from pfncache.csource.jumps import Level
from pfncache.csource.kinds import Form, Typed, annotation
from pfncache.csource.parse import child, children, line_of, peel, shown, text_of, walk
from pfncache.csource.statements import StatementLayer
from pfncache.csource.tables import EachEntry, WalkEntry

SCOPED = ("scoped_guard", "scoped_class")
MAX_COPIES = 200
"""Copies of what follows labels, in one function."""


class LoopLayer(StatementLayer):
    """The layer for loops, switches and gotos."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self._copies = 0

    def jump_or_loop(self, node: Node) -> list[ast.stmt]:
        """Translate a loop, a switch, or a jump."""
        match node.type:
            case "while_statement":
                return self._while(node)
            case "do_statement":
                return self._do(node)
            case "for_statement":
                return self._for(node)
            case "switch_statement":
                return self._switch(node)
            case "break_statement":
                return self.leave(node, self._around(node, (*LOOPS, "switch_statement")))
            case "continue_statement":
                return self.repeat(node, self._around(node, LOOPS))
            case "goto_statement":
                return self.goto(node, text_of(child(node, "label")))
            case "labeled_statement":
                label = text_of(child(node, "label"))
                raise self.refuse(node, f"the label {label} inside a branch", "put it into a block")
        raise self.refuse(node, f"{node.type.replace('_', ' ')} {shown(node)!r}", "write it in plain C")

    def _around(self, node: Node, kinds: tuple[str, ...]) -> int:
        """Return the place of the innermost construct around a jump."""
        parent = node.parent
        while parent is not None and parent.type != "function_definition":
            if parent.type in kinds and not self._is_scope(parent):
                return parent.start_byte
            parent = parent.parent
        raise self.refuse(node, f"{shown(node)!r} outside a loop", "correct the C")

    @staticmethod
    def _is_scope(node: Node) -> bool:
        """Return whether a while is the block of scoped_guard(), or a do { } while (0)."""
        if node.type == "while_statement":
            return called(child(node, "condition")) in SCOPED
        return False

    # Loops

    def _while(self, node: Node) -> list[ast.stmt]:
        condition, body = child(node, "condition"), child(node, "body")
        name = called(condition)
        if name in SCOPED:
            return self._scoped(node, peel(condition), body)
        if "for_each" in name:
            return self._each(node, name, children(child(peel(condition), "arguments")), body)

        def build() -> list[ast.stmt]:
            with self.collected() as first:
                test = self.condition(condition)
            inner = self.statement(body)
            if not first:
                return [ast.While(test, inner or [ast.Pass()], [])]
            stop = ast.If(pytree.negated(test), [ast.Break()], [])
            return [ast.While(pytree.constant(True), [*first, stop, *inner], [])]

        return self.loop(node, node.start_byte, build)

    def _scoped(self, node: Node, call: Node, body: Node) -> list[ast.stmt]:
        arguments = children(child(call, "arguments"))
        first, manager = self.guard(node, [text_of(arguments[0])], arguments[1:])
        inner = self._inside_guard(node, body)
        return [*first, ast.With([ast.withitem(manager)], inner or [ast.Pass()])]

    def _inside_guard(self, node: Node, body: Node) -> list[ast.stmt]:
        self.levels.append(Level(node.start_byte, is_guard=True, end=node.end_byte))
        inner = self.statement(body)
        self.levels.pop()
        return inner

    def _do(self, node: Node) -> list[ast.stmt]:
        condition, body = child(node, "condition"), child(node, "body")
        once = text_of(peel(condition)) in ("0", "false")

        def test() -> list[ast.stmt]:
            if once:
                return [ast.Break()]
            with self.collected() as first:
                tree = self.condition(condition)
            return [*first, ast.If(pytree.negated(tree), [ast.Break()], [])]

        def build() -> list[ast.stmt]:
            inner = self.statement(body)
            if not pytree.ends(inner):
                ending = test()
                for statement in ending:
                    pytree.place(statement, line_of(condition))
                inner += ending
            return [ast.While(pytree.constant(True), inner, [])]

        if once and not any(n.type in ("break_statement", "continue_statement") for n in walk(body)):
            return self.statement(body)
        return self.loop(node, node.start_byte, build, test)

    def _for(self, node: Node) -> list[ast.stmt]:
        initial, condition = node.child_by_field_name("initializer"), node.child_by_field_name("condition")
        update, body = node.child_by_field_name("update"), child(node, "body")
        self.scopes.enter()
        out: list[ast.stmt] = []
        if initial is not None:
            with self.collected() as first:
                rest = self.declaration(initial) if initial.type == "declaration" else self.effect(initial)
            out += [*first, *rest]

        def step() -> list[ast.stmt]:
            if update is None:
                return []
            with self.collected() as first:
                rest = self.effect(update)
            for statement in (*first, *rest):
                pytree.place(statement, line_of(update))
            return [*first, *rest]

        def build() -> list[ast.stmt]:
            with self.collected() as first:
                test = self.condition(condition) if condition is not None else pytree.constant(True)
            inner = self.statement(body)
            if not pytree.ends(inner):
                inner += step()
            if not first:
                return [ast.While(test, inner or [ast.Pass()], [])]
            return [
                ast.While(pytree.constant(True), [*first, ast.If(pytree.negated(test), [ast.Break()], []), *inner], [])
            ]

        out += self.loop(node, node.start_byte, build, step)
        self.scopes.leave()
        return out

    def _each(self, node: Node, name: str, arguments: list[Node], body: Node) -> list[ast.stmt]:
        """Translate a for_each macro: a walk over a list, or a generator of the model."""
        if name.startswith("list_for_each_entry"):
            return self._walk_list(node, arguments, body)
        each = self.tables.each.get(name)
        if each is None:
            raise self.refuse(node, f"{name}()", IN_TABLES)
        return self._generate(node, each, arguments, body)

    def _generate(self, node: Node, each: EachEntry, arguments: list[Node], body: Node) -> list[ast.stmt]:
        source = self.fill(node, each.text, arguments)
        targets = [self._each_target(arguments, place) for place in each.targets]
        target = targets[0] if len(targets) == 1 else ast.Tuple(targets, ast.Load())

        def build() -> list[ast.stmt]:
            return [ast.For(pytree.stored(target), source, self.statement(body) or [ast.Pass()], [])]

        return self.loop(node, node.start_byte, build)

    def _each_target(self, arguments: list[Node], place: int | str) -> ast.expr:
        if isinstance(place, int):
            return self.target(arguments[place]).tree
        number, _, member = place.partition(".")
        return self.struct_member(arguments[int(number)], member)

    def _walk_list(self, node: Node, arguments: list[Node], body: Node) -> list[ast.stmt]:
        head = peel(arguments[1])
        known = self.local(head)
        if known is not None and known.head is not None:
            head = known.head
        if head.type == "pointer_expression":
            head = peel(child(head, "argument"))
        if head.type != "field_expression":
            raise self.refuse(node, f"the list {shown(head)!r}", IN_TABLES)
        owner, member = self.expression(child(head, "argument")), text_of(child(head, "field"))
        walk_: WalkEntry | None = None
        for cls in owner.kind.record.__mro__ if owner.kind.record is not None else ():
            walk_ = walk_ or self.tables.lists.get((cls.__name__, member))
        if walk_ is None:
            raise self.refuse(node, f"the list {shown(head)!r}", IN_TABLES)
        entry = self.target(arguments[0])
        if entry.kind.form is not Form.RECORD:
            raise self.refuse(node, f"{shown(arguments[0])!r} is no record of the model", IN_TABLES)
        candidate = entry.tree if walk_.element == "{1}" else self.temporary(entry.kind).tree
        return self._walk(node, walk_, owner, entry, candidate, body)

    def _walk(
        self, node: Node, walk_: WalkEntry, owner: Typed, entry: Typed, candidate: ast.expr, body: Node
    ) -> list[ast.stmt]:
        def fill(text: str) -> ast.expr:
            return self.fill(node, text.replace("{0}", "{owner}").replace("{1}", "{candidate}"), [],
                             lambda word: owner.tree if word == "owner" else candidate)  # fmt: skip

        def build() -> list[ast.stmt]:
            inner: list[ast.stmt] = []
            if walk_.element != "{1}":
                inner.append(pytree.assign(entry.tree, fill(walk_.element)))
            inner += self.statement(body) or [ast.Pass()]
            return [
                ast.For(pytree.stored(candidate), fill(walk_.candidates), [ast.If(fill(walk_.test), inner, [])], [])
            ]

        return self.loop(node, node.start_byte, build)

    # Switches

    def _switch(self, node: Node) -> list[ast.stmt]:
        value = self.expression(child(node, "condition"))
        subject = self.temporary(value.kind)
        assert isinstance(subject.tree, ast.Name)
        out: list[ast.stmt] = [pytree.local(subject.tree.id, annotation(value.kind), value.tree)]
        cases = children(child(node, "body"))
        for case in cases:
            if case.type != "case_statement":
                raise self.refuse(case, "a statement before the first case", "put it behind a case")
        bodies = [self._case_body(case) for case in cases]
        inner_breaks = any(self._breaks_inside(node, body) for body in bodies)

        def build() -> list[ast.stmt]:
            chain = self._chain(node, subject, cases, bodies)
            return [ast.While(pytree.constant(True), [*chain, ast.Break()], [])] if inner_breaks else chain

        return out + (self.loop(node, node.start_byte, build) if inner_breaks else build())

    @staticmethod
    def _case_body(case: Node) -> list[Node]:
        value = case.child_by_field_name("value")
        return [inner for inner in children(case) if value is None or inner.id != value.id]

    def _breaks_inside(self, switch: Node, body: list[Node]) -> bool:
        """Return whether a break that is not the last statement of a case leaves the switch."""
        return any(
            inner.type == "break_statement" and inner is not statement
            and self._around(inner, (*LOOPS, "switch_statement")) == switch.start_byte
            for statement in body
            for inner in walk(statement)
            if inner.id != statement.id
        )  # fmt: skip

    def _chain(self, node: Node, subject: Typed, cases: list[Node], bodies: list[list[Node]]) -> list[ast.stmt]:
        """Return the cases as a chain of tests. A case that falls through has the next one's statements too."""
        arms: list[tuple[ast.expr | None, list[ast.stmt]]] = []
        values: list[Node | None] = []
        for at, case in enumerate(cases):
            values.append(case.child_by_field_name("value"))
            if not bodies[at] and at + 1 < len(cases):
                continue
            test = None if None in values else self._matches(subject, [v for v in values if v is not None])
            arms.append((test, self._arm(bodies, at)))
            values = []
        chain: list[ast.stmt] = []
        for test, body in reversed(arms):
            if test is None:
                if chain:
                    raise self.refuse(node, "default is not the last case", "move it to the end")
                chain = body
            else:
                chain = [ast.If(test, body or [ast.Pass()], chain)]
        return chain

    def _matches(self, subject: Typed, values: list[Node]) -> ast.expr:
        tests: list[ast.expr] = [
            ast.Compare(subject.tree, [ast.Eq()], [self.expression(value).tree]) for value in values
        ]
        return tests[0] if len(tests) == 1 else ast.BoolOp(ast.Or(), tests)

    def _arm(self, bodies: list[list[Node]], at: int) -> list[ast.stmt]:
        nodes: list[Node] = []
        for body in bodies[at:]:
            if body and body[-1].type == "break_statement":
                nodes += body[:-1]
                break
            nodes += body
            if body and self._leaves(body[-1]):
                break
        return self.block(nodes)

    @staticmethod
    def _leaves(node: Node) -> bool:
        return node.type in ("return_statement", "goto_statement", "continue_statement")

    # Labels

    def labelled(self, nodes: list[Node], at: int) -> list[ast.stmt] | None:
        """Translate the rest of a block from a label on, if it is jumped back to; None if it is not."""
        node = nodes[at]
        label = text_of(child(node, "label"))
        end = nodes[-1].end_byte
        if not any(node.start_byte < jump.start_byte < end for jump in self.facts.gotos.get(label, ())):
            return None
        if self.has_level(node.start_byte):
            raise self.refuse(node, f"the label {label} is reached while its own loop is copied", "use a loop")

        def build() -> list[ast.stmt]:
            statement = [c for c in children(node) if c.type != "statement_identifier"]
            inner = self.statement(statement[0]) if statement else []
            if not pytree.ends(inner):
                inner += self._rest(nodes, at + 1)
            if not pytree.ends(inner):
                inner += self._end_of_function(nodes[-1]) if self._is_top(node) else [ast.Break()]
            return [ast.While(pytree.constant(True), inner, [])]

        return self.loop(node, node.start_byte, build)

    def _is_top(self, node: Node) -> bool:
        return node.parent is not None and node.parent.id == self.signature.function.body.id

    def fallen_off(self, node: Node) -> list[ast.stmt]:
        """Return what is executed at the end of the function: nothing, or a return of the results."""
        raise NotImplementedError

    def _end_of_function(self, node: Node) -> list[ast.stmt]:
        """Return the end of the function where that is not the end of its text."""
        out = self.fallen_off(node) or [ast.Return(None)]
        for statement in out:
            pytree.place(statement, line_of(node))
        return out

    def goto(self, node: Node, label: str) -> list[ast.stmt]:
        """Translate a jump to a label."""
        target = self.facts.labels.get(label)
        if target is None:
            raise self.refuse(node, f"goto {label}: there is no such label", "correct the C")
        if self.has_level(target.start_byte) and target.start_byte < node.start_byte:
            return self.repeat(node, target.start_byte)
        return self._copied_tail(node, label, target)

    def _copied_tail(self, node: Node, label: str, target: Node) -> list[ast.stmt]:
        """Translate once more what follows a label that is jumped forward to."""
        self._copies += 1
        if self._copies > MAX_COPIES:
            raise self.refuse(node, f"goto {label}: labels are followed by too many jumps", "use fewer labels")
        block = target.parent
        if block is None or block.type != "compound_statement":
            raise self.refuse(node, f"goto {label} jumps into a block", "put the label into a block around the goto")
        if not _is_inside(node, block):
            return self._tail_of_other_block(node, label, target, block)
        if target.start_byte < node.start_byte:
            raise self.refuse(node, f"goto {label} jumps back into a block", "use a loop")
        for level in self.levels:
            if level.is_guard and not level.place < target.start_byte < level.end:
                what = f"goto {label} leaves the block of a guard"
                raise self.refuse(node, what, "use return, or a function of its own")
        nodes = children(block)
        at = next(i for i, n in enumerate(nodes) if n.id == target.id)
        saved = self.scopes.suspend(self._scope_depth(block))
        out = self._rest(nodes, at)
        if not pytree.ends(out):
            out += self._end_of(node, block, label)
        self.scopes.resume(saved)
        return out

    def _tail_of_other_block(self, node: Node, label: str, target: Node, block: Node) -> list[ast.stmt]:
        """Translate once more what follows a label in a block beside the goto, which must not reach its end.

        The block must have no locals, as those of the blocks around the goto are not those of the label.
        """
        nodes = children(block)
        at = next(i for i, n in enumerate(nodes) if n.id == target.id)
        what = f"goto {label} jumps into a block"
        if any(n.type == "declaration" for n in nodes) or _loop_around(node) != _loop_around(block):
            raise self.refuse(node, what, "put the label into a block around the goto")
        out = self._rest(nodes, at)
        if not pytree.ends(out):
            raise self.refuse(node, f"{what}, and behind its end", "put the label into a block around the goto")
        return out

    def _scope_depth(self, block: Node) -> int:
        """Return the number of scopes around the statements of a block: parameters, the body, and each block in it."""
        depth, current = 2, block
        while current.id != self.signature.function.body.id:
            depth += current.type in ("compound_statement", "for_statement", "case_statement")
            assert current.parent is not None
            current = current.parent
        return depth

    def _end_of(self, node: Node, block: Node, label: str) -> list[ast.stmt]:
        """Return what follows the end of a label's block: the end of the function, or the next turn of a loop."""
        if block.id == self.signature.function.body.id:
            return self._end_of_function(block)
        if block.parent is not None and block.parent.type in LOOPS:
            return self.repeat(node, block.parent.start_byte)
        raise self.refuse(node, f"goto {label}: the label is in a branch", "put the label into the function's block")


def _loop_around(node: Node) -> int:
    """Return the place of the innermost loop or switch around a node; -1 if there is none."""
    parent = node.parent
    while parent is not None and parent.type not in (*LOOPS, "switch_statement"):
        parent = parent.parent
    return parent.start_byte if parent is not None else -1


def _is_inside(node: Node, block: Node) -> bool:
    return block.start_byte <= node.start_byte < block.end_byte
