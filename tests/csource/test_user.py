# SPDX-License-Identifier: GPL-2.0-only
"""User memory: addresses of members, and accesses that jump to a label if they fault."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pfncache.csource.tables import CallEntry, Hook, NameEntry, UserAccess
from tests.csource.machine import TABLES, CWorld, kernel_of, loaded, refusal, world

WITH_USER = replace(
    TABLES,
    declarations=TABLES.declarations + " struct area { u64 time; u32 version; };",
    user_structs={"area": "for the tests"},
    offsets={("area", "time"): NameEntry("0", "for the tests"), ("area", "version"): NameEntry("8", "for the tests")},
    user_accesses={
        "unsafe_put_user": UserAccess("self.put({address}, {size}, {value})", "for the tests"),
        "unsafe_get_user": UserAccess("self.get({address}, {size})", "for the tests", is_load=True),
    },
    calls={**TABLES.calls, "mark": CallEntry("self.mark({0})", "for the tests", "void")},
    after={"f(): mark": Hook("self.marked({written})", "for the tests")},
)
TEXT = """
int f(struct c_world *w, u64 place)
{
	struct area *a;
	int ret = 1;
	u32 version;

	a = (struct area *)place;
	unsafe_get_user(version, &a->version, out);
	version += 1;
	unsafe_put_user(version, &a->version, out);
	unsafe_put_user(5, &a->time, out);
	ret = 0;
out:
	mark(w);
	return ret;
}
"""


class User:
    """User memory that faults at the nth access."""

    def __init__(self, faults_at: int) -> None:
        self.left, self.steps = faults_at, list[object]()

    def access(self) -> bool:
        self.left -= 1
        return self.left != 0

    def put(self, address: int, size: int, value: int) -> bool:
        self.steps.append((address, size, value))
        return self.access()

    def get(self, address: int, size: int) -> tuple[bool, int]:
        self.steps.append((address, size))
        return (True, 6) if self.access() else (False, 0)

    def mark(self, world: CWorld) -> None:
        self.steps.append("mark")

    def marked(self, written: bool) -> None:
        self.steps.append(written)


ALL = [(48, 4), (48, 4, 7), (40, 8, 5)]


@pytest.mark.parametrize(
    ("faults_at", "result", "steps"),
    [(0, 0, [*ALL, "mark", True]), (1, 1, [*ALL[:1], "mark", False]), (2, 1, [*ALL[:2], "mark", False]),
     (3, 1, [*ALL, "mark", True])],
)  # fmt: skip
def test_each_access_may_fault_alone(faults_at: int, result: int, steps: list[object]) -> None:
    kernel = kernel_of(loaded(TEXT, replace(WITH_USER, kernel=User)))
    user = User(faults_at)
    for name in ("put", "get", "mark", "marked"):
        setattr(kernel, name, getattr(user, name))
    assert kernel.f(world(), 40) == result
    assert user.steps == steps


def test_a_member_without_a_place_is_refused() -> None:
    text = TEXT.replace("&a->time", "&a->end")
    assert refusal(text, tables=WITH_USER) == ("example.c:12: f(): offsetof(struct area, end); enter it in the tables")
