# SPDX-License-Identifier: GPL-2.0-only
"""Cooperative scheduler of the model: tasks of the process run one at a time, each until it ends or blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from greenlet import getcurrent, greenlet

from pfncache.lang.atomic import WouldBlock
from pfncache.lang.tracing import running, switch_to
from pfncache.linux.include.linux.mm_types import MmStruct
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.machines.resource import Delayed

T = TypeVar("T")
_MAX_ROUNDS = 1000
"""Rounds over all tasks without progress until the caller counts as blocked forever."""


class ModelTask(Delayed[T], Generic[T]):
    """A task of the process, as a greenlet."""

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
        except BaseException as error:  # raised by result()
            self._raised = error

    def step(self) -> None:
        """Run until it ends or blocks."""
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
        """Run as far as possible. Returns whether the task blocks; the time does not matter."""
        self.step()
        return not self.done

    def stopped(self) -> bool:
        """Whether it is stopped at its stop point."""
        return self.record.host_delayed != "" and not self.done

    def release(self) -> None:
        """Resume it."""
        self.record.host_delayed = ""

    def result(self, seconds: float = 0.0) -> T:
        """Run all tasks until it has ended. Returns its result, or raises its exception."""
        for _ in range(_MAX_ROUNDS):
            if self.done:
                break
            self._tasks.run_all()
        if not self.done:
            raise TimeoutError(f"{self.record} is blocked forever")
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
        """The task that makes system calls now."""

    def new_record(self) -> TaskStruct:
        """Return a new task_struct of the process."""
        self._number += 1
        record = TaskStruct(f"task{self._number}", mm=self._mm)
        record.host_scheduler = self
        return record

    def start(self, function: Callable[[], T], delayed: str = "") -> ModelTask[T]:
        """Start a task and run it until it blocks; `delayed` is its stop point, if any."""
        task = ModelTask(self, function)
        task.record.host_delayed = delayed
        self._tasks.append(task)
        task.step()
        return task

    def run_all(self) -> None:
        """Run each task until it blocks or ends."""
        for task in list(self._tasks):
            task.step()
            if task.done:
                self._tasks.remove(task)
                self._rounds = 0

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Run other tasks until a condition holds."""
        while not condition():
            self.block(WouldBlock(f"blocked forever: waits for {what}"))

    def resched(self) -> None:
        """Run other tasks: the caller is in a loop that only they can end."""
        self.block(WouldBlock("blocked forever: repeats a lookup"))

    def block(self, why: WouldBlock) -> None:
        """Switch from the running task to its starter; outside of tasks, run every task, or raise `why`."""
        if getcurrent() is not self._hub:
            self._hub.switch()
            return
        self._rounds += 1
        if not self._tasks or self._rounds > _MAX_ROUNDS:
            self._rounds = 0
            raise why
        self.run_all()
