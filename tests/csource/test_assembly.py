# SPDX-License-Identifier: GPL-2.0-only
"""Inline assembly: an entry for its instructions, or a refusal with the instructions."""

from __future__ import annotations

from dataclasses import replace

from pfncache.csource.lexer import prepare
from pfncache.csource.tables import AsmEntry
from tests.csource.machine import TABLES, kernel_of, loaded, refusal, world

ORDERS = {
    "lock orq %0, %1; notq %0": AsmEntry(("self.note({1:owner})", "self.note({1:owner})"), "for the tests"),
    "1: xchgb %0, %1; 2:; _ASM_EXTABLE_UA(1b, 2b)": AsmEntry(("self.split({0})",), "for the tests", (0, 1)),
}
WITH_ASM = replace(TABLES, asm=ORDERS)


def test_instructions_are_executed_one_after_the_other() -> None:
    text = """
int f(struct c_world *w)
{
	long bits = 3;

	asm volatile(LOCK_PREFIX "orq %0, %1\\n"
		"notq   %0\\n"
		: "=r" (bits), "+m" (w->result) : "0" (bits));
	return bits;
}
"""
    made = world()
    assert kernel_of(loaded(text, WITH_ASM)).f(made) == 3
    assert made.trace == 2


def test_results_go_to_the_operands() -> None:
    text = """
int f(struct c_world *w)
{
	int old = 14, err = -1;

	asm volatile("1: xchgb %0, %1\\n" "2:\\n"
		_ASM_EXTABLE_UA(1b, 2b)
		: "+q" (old), "+r" (err));
	return old * 10 + err;
}
"""
    assert kernel_of(loaded(text, WITH_ASM)).f(world()) == 32


def test_other_instructions_are_refused() -> None:
    text = 'int f(struct c_world *w)\n{\n\tasm volatile("orq %0, %1" : "+m" (w->result));\n\treturn 0;\n}\n'
    assert refusal(text, tables=WITH_ASM) == ("example.c:3: f(): the instructions 'orq %0, %1'; enter it in the tables")


def test_a_macro_in_a_template_is_a_string_there() -> None:
    given = 'asm volatile("1: nop\\n"\n\t_ASM_EXTABLE(1b, 2b)\n\t: "+r" (_ASM_AX(x)));'
    assert prepare(given).text == 'asm volatile("1: nop\\n"\n\t"_ASM_EXTABLE(1b, 2b)"\n\t: "+r" ("_ASM_AX(x)"));'
