# SPDX-License-Identifier: GPL-2.0-only
"""Memory outside the model, through pointers derived from a mapping."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pfncache.csource.tables import CallEntry, MappingEntry, NameEntry
from tests.csource.machine import TABLES, CWorld, kernel_of, loaded, refusal, world

MAPPED = replace(
    TABLES,
    opaque={"clock": "for the tests"},
    mappings={("CWorld", "result"): MappingEntry("self.note({0})", "self.wrote({0})", "for the tests")},
    mapped_stores={("clock", "version"): "self.version({0})"},
    mapped_values={("clock", "pending"): NameEntry("1", "for the tests")},
    scope={**TABLES.scope},
)

TEXT = """
int f(struct c_world *w)
{
	struct clock *c = (void *)w->result;
	struct clock local;
	int *number;

	number = (int *)(w->result + 4);
	local.version = c->version + 1;
	c->version = local.version;
	*number = 5;
	memcpy(c, &local, 8);
	c->count++;
	return c->pending;
}
"""


class Log:
    """What is done to mapped memory, in order."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def note(self, world: CWorld) -> None:
        self.steps.append("load")

    def wrote(self, world: CWorld) -> None:
        self.steps.append("store")

    def version(self, world: CWorld) -> None:
        self.steps.append("version")


def test_loads_and_stores_are_steps() -> None:
    kernel = kernel_of(loaded(TEXT, replace(MAPPED, kernel=Log)))
    log = Log()
    kernel.note, kernel.wrote, kernel.version = log.note, log.wrote, log.version
    assert kernel.f(world()) == 1
    assert log.steps == ["load", "version", "store", "store", "load", "store", "load"]


def test_contents_that_are_not_modelled_cannot_be_tested() -> None:
    body = "struct clock *c = (void *)w->result;\n\n\tif (c->version)\n\t\treturn 1;\n\treturn 0;"
    text = f"int f(struct c_world *w)\n{{\n\t{body}\n}}\n"
    assert refusal(text, tables=MAPPED) == (
        "example.c:5: f(): a test of contents of memory that is not modelled; enter it in the tables"
    )


MOVING = """
int f(struct c_world *w, struct c_world *v, int split)
{
	struct clock local;
	int *place, *flag = NULL;

	if (split) {
		place = &local.version;
	} else {
		place = (int *)(w->result + 4);
		flag = (int *)v->result;
	}
	*place = 1;
	if (flag)
		*flag = 2;
	if (split)
		memcpy((void *)v->result, place, 8);
	return 0;
}
"""


@pytest.mark.parametrize(("split", "steps"), [(0, ["store w", "store v"]), (1, ["store v"])])
def test_a_pointer_may_lead_to_memory_or_to_a_local(split: int, steps: list[str]) -> None:
    kernel = kernel_of(loaded(MOVING, replace(MAPPED, kernel=Log)))
    first, second, found = world(), world(), list[str]()
    kernel.wrote = lambda of: found.append(f"store {'w' if of is first else 'v'}")
    kernel.note = lambda of: found.append("load")
    assert kernel.f(first, second, split) == 0
    assert found == steps


def test_a_pointer_keeps_its_record_when_the_name_of_that_gets_another() -> None:
    text = """
int f(struct c_world *w, struct c_world *v, int b)
{
	struct clock *c;
	struct c_world *of = w;

	if (b)
		c = (void *)of->result;
	else
		c = (void *)v->result;
	of = v;
	c->count = 1;
	return 0;
}
"""
    kernel = kernel_of(loaded(text, replace(MAPPED, kernel=Log)))
    first, second, found = world(), world(), list[CWorld]()
    kernel.wrote = found.append
    for b in (1, 0):
        kernel.f(first, second, b)
    assert found == [first, second]


def test_a_comparison_of_contents_is_refused() -> None:
    body = "struct clock *c = (void *)w->result;\n\n\treturn c->version == 3;"
    assert refusal(f"int f(struct c_world *w)\n{{\n\t{body}\n}}\n", tables=MAPPED) == (
        "example.c:5: f(): 'c->version == 3' is a test of contents of memory that is not modelled; "
        "enter it in the tables"
    )


def test_stores_and_calls_by_function_and_member() -> None:
    text = """
int f(struct c_world *w)
{
	struct clock *c = (void *)w->result;
	int *bits = &c->bits;

	c->count = 1;
	return set_bit(3, bits);
}
"""
    tables = replace(
        MAPPED, kernel=Log, mapped_stores_in={("f", "clock", "count"): "self.version({0})"},
        member_calls={("set_bit", "clock.bits"): CallEntry("self.set_bit({1:owner}, {0})", "for the tests")},
    )  # fmt: skip
    kernel, made, found = kernel_of(loaded(text, tables)), world(), list[object]()
    kernel.version = found.append

    def set_bit(of: CWorld, bit: int) -> int:
        found.append((of, bit))
        return 1

    kernel.set_bit = set_bit
    assert kernel.f(made) == 1
    assert found == [made, (made, 3)]
