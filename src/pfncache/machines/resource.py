# SPDX-License-Identifier: GPL-2.0-only
"""Interfaces of what a machine returns besides VMs: files, pinned pages, concurrent tasks, userfaultfds, windows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class Closing(ABC):
    """A resource that is closed at the end of a ``with`` block."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Release the resource; a second call does nothing."""


class OpenFile(Closing):
    """An open file descriptor of a memfd or a guest_memfd."""

    name: str
    size: int

    @abstractmethod
    def fallocate(self, mode: int, offset: int, length: int) -> None:
        """fallocate()."""

    @abstractmethod
    def ftruncate(self, size: int) -> None:
        """ftruncate()."""

    @abstractmethod
    def pread(self, length: int, offset: int) -> bytes:
        """pread()."""

    @abstractmethod
    def pwrite(self, data: bytes, offset: int) -> int:
        """pwrite()."""

    @abstractmethod
    def lseek(self, offset: int, whence: int) -> int:
        """lseek()."""

    @abstractmethod
    def st_blocks(self) -> int:
        """fstat().st_blocks."""


class Pin(Closing):
    """A pinned page: it is not freed when it is unmapped, and a later write to it is one to an old page."""

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes:
        """Contents of the page."""


class Task(ABC, Generic[T]):
    """A concurrent task of the process."""

    @abstractmethod
    def blocked(self, seconds: float = 0.15) -> bool:
        """Whether the task has not ended after this time, in which it would have unless it blocks."""

    @abstractmethod
    def result(self, seconds: float = 5.0) -> T:
        """Return its result or raise its exception; TimeoutError if it does not end in time."""


@dataclass(frozen=True)
class StopPoint:
    """Where a task can be stopped: when a kernel function returns to it, or when it enters one."""

    function: str
    """The function's name in Linux."""
    at_entry: bool = False

    def __str__(self) -> str:
        return f"{'entry' if self.at_entry else 'return'} of {self.function}()"


LOOKUP = StopPoint("hva_to_pfn")
"""A page was looked up by its user address; the result is not used yet."""
UNMAP = StopPoint("try_to_unmap")
"""A poisoned page is locked and unmapped from user page tables; its file still has it."""
UNREGISTER = StopPoint("mmu_notifier_unregister")
"""A VM that is being destroyed is not notified of invalidations any more."""


class Delayed(Task[T], Generic[T]):
    """A task that stops whenever it comes to its stop point."""

    @abstractmethod
    def stopped(self) -> bool:
        """Whether it is stopped."""

    @abstractmethod
    def release(self) -> None:
        """Resume it, and do not stop it again. On a kernel the stop is a delay, and ends by itself."""


class OrphanedVms(Closing):
    """VMs whose process has exited, and memory of this process in a page frame that was the other's."""

    @abstractmethod
    def written(self, seconds: float) -> list[int]:
        """Wait. Returns the offsets of the bytes in the page frame that have changed in that time."""


class Userfaultfd(Closing):
    """A range of memory in which page faults wait for user space."""

    @abstractmethod
    def wait(self, seconds: float = 5.0) -> int:
        """Page address of the next fault; TimeoutError without one."""

    @abstractmethod
    def resolve(self, hva: int) -> None:
        """Resolve a fault: with a zeroed page, with the file's page, or by write access, depending on the mode."""

    @abstractmethod
    def wake(self, hva: int) -> None:
        """Wake the tasks that wait for the page; they look it up again."""

    @abstractmethod
    def unregister(self) -> None:
        """Stop waiting for faults in the range. Tasks that wait already may have to be woken."""


class WriteTracking(Closing):
    """Records which pages of a range are written."""

    @abstractmethod
    def written(self) -> list[bool]:
        """One entry for each page."""


class Window(Closing):
    """An MMU-notifier invalidation between its start and its end: mn_active_invalidate_count is not zero."""

    @abstractmethod
    def is_open(self) -> bool:
        """Whether the invalidation has not ended."""
