# SPDX-License-Identifier: GPL-2.0-only
"""Memory outside the model, through pointers derived from a mapping."""

from __future__ import annotations

from dataclasses import replace

from pfncache.csource.tables import MappingEntry, NameEntry
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
