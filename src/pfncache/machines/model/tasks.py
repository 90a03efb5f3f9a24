# SPDX-License-Identifier: GPL-2.0-only
"""Who runs beside the caller on the model: tasks of the process, one at a time, each until it ends or has to wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from greenlet import getcurrent, greenlet

from pfncache.lang.atomic import WouldBlock
from pfncache.lang.tracing import running, switch_to
from pfncache.linux.include.linux.mm_types import MmStruct
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.machines.machine import Delayed

T = TypeVar("T")
_ROUNDS = 1000
"""So often everybody is asked whether it can go on, before the caller is taken to wait for ever."""


class ModelTask(Delayed[T], Generic[T]):
    """A task: what it runs, and where it stands."""

    def __init__(self, tasks: Tasks, function: Callable[[], T]) -> None:
        self._tasks = tasks
        self.record = tasks.new_record()
        self._returned: list[T] = []
        self._raised: BaseException | None = None
        self._greenlet = greenlet(self._call)
        self._function = function

    def _call(self) -> None:
        try:
            self._returned.append(self._function())
        except BaseException as error:  # handed to whoever asks for the result
            self._raised = error

    def step(self) -> None:
        """Run until it ends or has to wait."""
        if not self._greenlet.dead:
            saved, self._tasks.current = self._tasks.current, self.record
            interrupted = running()
            switch_to(self.record)
            self._greenlet.switch()
            switch_to(interrupted)
            self._tasks.current = saved

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return bool(self._greenlet.dead)

    def blocked(self, seconds: float = 0.0) -> bool:
        """Whether it has to wait for somebody. Time does not matter: it runs as far as it can."""
        self.step()
        return not self.done

    def inside(self) -> bool:
        """Whether it has stopped there."""
        return self.record.host_delayed != "" and not self.done

    def release(self) -> None:
        """Let it go on."""
        self.record.host_delayed = ""

    def result(self, seconds: float = 0.0) -> T:
        """Run everybody until it has ended."""
        for _ in range(_ROUNDS):
            if self.done:
                break
            self._tasks.run_all()
        if not self.done:
            raise TimeoutError(f"{self.record} waits for ever")
        if self._raised is not None:
            raise self._raised
        return self._returned[0]


class Tasks:
    """The scheduler of direct execution."""

    def __init__(self, mm: MmStruct) -> None:
        self._mm = mm
        self._number = 0
        self._hub = getcurrent()
        self._tasks: list[ModelTask[Any]] = []
        self._rounds = 0
        self.current = self.new_record()
        """The record of whoever makes system calls now."""

    def new_record(self) -> TaskStruct:
        """A task_struct of the process."""
        self._number += 1
        record = TaskStruct(f"task{self._number}", mm=self._mm)
        record.host_scheduler = self
        return record

    def start(self, function: Callable[[], T], delayed: str = "") -> ModelTask[T]:
        """A task that runs at once, as far as it can; it stops behind a function, if one is given."""
        task = ModelTask(self, function)
        task.record.host_delayed = delayed
        self._tasks.append(task)
        task.step()
        return task

    def run_all(self) -> None:
        """Let every task run as far as it can."""
        for task in list(self._tasks):
            task.step()
            if task.done:
                self._tasks.remove(task)
                self._rounds = 0

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Let others run until a condition holds."""
        while not condition():
            self.block(WouldBlock(f"waits for {what} for ever"))

    def resched(self) -> None:
        """The caller is in a loop that only somebody else can end."""
        self.block(WouldBlock("repeats a lookup for ever"))

    def block(self, why: WouldBlock) -> None:
        """Let others run: the caller of the task that is running, or, from outside all tasks, every task."""
        if getcurrent() is not self._hub:
            self._hub.switch()
            return
        self._rounds += 1
        if not self._tasks or self._rounds > _ROUNDS:
            self._rounds = 0
            raise why
        self.run_all()
