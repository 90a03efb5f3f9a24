# SPDX-License-Identifier: GPL-2.0-only
"""A dimension of the space of scenarios: a choice between values, each of which has a meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar


@dataclass(frozen=True)
class Value:
    """A value of a dimension."""

    name: str
    meaning: str


V = TypeVar("V", bound=Value)


@dataclass(frozen=True)
class Dimension(Generic[V]):
    """A choice that every scenario of the space makes."""

    name: str
    meaning: str
    values: tuple[V, ...]
    usual: V | None = None
    """The default, if that is not the first: then a space that is narrowed may lack it."""

    def __getitem__(self, name: str) -> V:
        """Return the value of a name. Raises KeyError."""
        return {value.name: value for value in self.values}[name]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the values."""
        return tuple(value.name for value in self.values)

    @property
    def default(self) -> V:
        """The value that a scenario has if it names none, and that its name leaves out."""
        return self.usual or self.values[0]


@dataclass(frozen=True)
class Constraint:
    """A rule that some combinations of values break, so that no scenario has them."""

    dimensions: tuple[str, ...]
    allows: Callable[..., bool]
    """Returns whether a combination is allowed, for its values in the order of `dimensions`."""
    reason: str


def values_of(names: Iterable[tuple[str, str]]) -> tuple[Value, ...]:
    """Return values that are no more than a name and a meaning."""
    return tuple(Value(name, meaning) for name, meaning in names)
