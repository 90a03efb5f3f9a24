# SPDX-License-Identifier: GPL-2.0-only
"""A scenario of the space: a value of each dimension, and the closed system that they make."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import cast

from pfncache.check.system import Call, System
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, KvmVcpu
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.linux.vmlinux import Vmlinux
from pfncache.scenarios import users
from pfncache.scenarios.operations import Operation
from pfncache.scenarios.region import SlotLayout
from pfncache.scenarios.space.dimension import Constraint
from pfncache.scenarios.space.memslots import layout
from pfncache.scenarios.space.reach import excuses
from pfncache.scenarios.space.space import SPACE, Space
from pfncache.scenarios.space.user import User, pv_time
from pfncache.scenarios.world import MemoryKind, World, WorldOptions

ROOM = "space"
"""What the name of every scenario of the space begins with."""
MOST_PAGES = 6
"""Pages of memory at most: the next pfn is that of a device."""


@dataclass(frozen=True)
class Point:
    """A value of each dimension, by name; a dimension that is left out has its default."""

    chosen: tuple[tuple[str, str], ...]
    space: Space = field(default=SPACE, compare=False, repr=False)
    """The space that has the values."""

    @classmethod
    def of(cls, chosen: Mapping[str, str], space: Space = SPACE) -> Point:
        """Return the point of these values, without those that are the default."""
        named = ((one, chosen.get(one.name, one.default.name)) for one in space.dimensions)
        return cls(tuple((one.name, value) for one, value in named if value != one.default.name), space)

    def __getitem__(self, dimension: str) -> str:
        """Return the name of the value in a dimension."""
        return dict(self.chosen).get(dimension, self.space.by_name[dimension].default.name)

    @property
    def values(self) -> dict[str, str]:
        """The name of the value in every dimension."""
        return {dimension.name: self[dimension.name] for dimension in self.space.dimensions}

    @property
    def user(self) -> User:
        """The path by which KVM accesses guest memory."""
        return cast(User, self.space.by_name["user"][self["user"]])

    @property
    def operation(self) -> Operation:
        """What runs beside the user."""
        return cast(Operation, self.space.by_name["operation"][self["operation"]])

    @property
    def broken(self) -> tuple[Constraint, dict[str, str]] | None:
        """The first constraint that the point breaks, with the names of the values; None if it breaks none."""
        for rule in self.space.constraints:
            names = {dimension: self[dimension] for dimension in rule.dimensions}
            if not rule.allows(*(self.space.by_name[dimension][name] for dimension, name in names.items())):
                return rule, names
        return None

    @property
    def name(self) -> str:
        """The name, from which the point can be made again."""
        more = [f"{name}={value}" for name, value in self.chosen if name not in ("memory", "user", "operation")]
        parts = [ROOM, self["memory"], f"{self['user']}+{self['operation']}"]
        return "/".join([*parts, ",".join(more)] if more else parts)

    @property
    def hazard(self) -> str:
        """What could go wrong, in a line."""
        return f"{self.user.meaning}, while {self['operation']} runs on {self['memory']} memory"

    @property
    def layout(self) -> SlotLayout:
        """The memslots."""
        return layout(self.__getitem__)

    def build(self, kernel: type[Vmlinux], defer_setup: bool = False) -> System:
        """Return the closed system on a kernel."""
        user, operation = self.user, self.operation
        world = World(kernel, MemoryKind(self["memory"]), defer_setup=defer_setup, **self._options(user, operation))
        user.prepare(world)
        first = self._start(world, user)
        user.prepare(world)
        self._forget_dirty(world)
        rounds, updates = int(self["rounds"]), int(self["updates"])
        calls = operation.calls(world) * rounds
        uses = (*first, *user.use(world) * updates)
        context = self["context"]
        world.actor("user", *uses, process=context != "kthread")
        if context == "two-tasks":
            world.actor("user'", *uses)
        world.actor(operation.name, *calls)
        if context == "irq":
            self._interrupt(world, TaskStruct("elsewhere"), None)
        elif context == "irq-here":
            self._interrupt(world, cast(TaskStruct, world.actors[-1].task), operation.name)
        for target, reason in excuses(user, self["start"], world):
            world.need_not_reach(target, reason)
        return world.system()

    def _options(self, user: User, operation: Operation) -> WorldOptions:
        """Return the size of the world."""
        slots = self.layout
        rounds = int(self["rounds"])
        mapped = slots.end_user_page - 1
        options: WorldOptions = {
            "layout": slots,
            "slot_ids": len(slots.regions),
            "slots": len(slots.regions) + rounds * operation.slots,
            "gfns": slots.end_gfn + (slots.region.npages if operation.name == "slot-move" else 0),
            "user_pages": slots.end_user_page + 1,
            "pages": min(MOST_PAGES, mapped + 2),
            "files": max(region.file for region in slots.regions) + (2 if operation.name == "slot-replace" else 1),
            "file_pages": max(region.pgoff + region.npages for region in slots.regions),
            "caches": _caches(user, operation),
        }
        return options

    def _start(self, world: World, user: User) -> tuple[Call, ...]:
        """Bring the world to its start; return the calls with which the user begins."""
        place = user.name_place(world)
        if self["start"] == "never-used":
            return place
        if self["start"] == "elsewhere":
            with _elsewhere(world):
                world.do(*user.name_place(world), *user.use(world))
            return place
        world.do(*place, *user.use(world))
        if self["start"] == "turned-off":
            world.do(*user.turn_off(world))
            return place
        if self["start"] == "page-gone":
            world.do(world.zap())
        return ()

    def _forget_dirty(self, world: World) -> None:
        """Clear the dirty bitmap, as KVM_GET_DIRTY_LOG does, and what lost-dirty knows of it."""
        for bitmap in world.kvm.bitmap_cache:
            for bit in bitmap.bits:
                bit.__dict__.update(dirty=False, written=False)

    def _interrupt(self, world: World, task: TaskStruct, interrupts: str | None) -> None:
        """Add the timer's hard interrupt, on the CPU of a task."""
        call = Call(users.timer_irq, (world.kernel, world.kvm, world.vcpu, task))
        world.actor("timer", call, interrupts=interrupts, process=False)


@contextmanager
def _elsewhere(world: World) -> Iterator[None]:
    """Let the structure be in the other memslot meanwhile, or in another page of the only one."""
    here, shift = world.layout, world.kernel.PAGE_SHIFT
    if len(here.regions) > 1:
        there = replace(here, structure=1 - here.structure, page=0, crosses=False)
    else:
        there = replace(here, page=0 if here.page > 0 else here.region.npages - 1, crosses=False)
    gpa, hva = world.gpa, world.hva
    world.gpa, world.hva = there.gfn << shift, there.user_page << shift
    yield
    world.gpa, world.hva = gpa, hva


def _caches(user: User, operation: Operation) -> Callable[[KvmVcpu], tuple[GfnToPfnCache, ...]]:
    """Return the caches that the user and the operation have.

    A user without one has that of kvm-clock: a design may put a pfncache in the place of its path. It costs no state
    where nothing adds it to gpc_list.
    """
    if not user.has_cache:
        return pv_time
    if operation.name.startswith("clock-") and user.caches is not pv_time:

        def both(vcpu: KvmVcpu) -> tuple[GfnToPfnCache, ...]:
            return (*user.caches(vcpu), *pv_time(vcpu))

        return both
    return user.caches
