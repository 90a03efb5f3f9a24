# SPDX-License-Identifier: GPL-2.0-only
"""KVM's gfn_to_pfn_cache with guest_memfd support: an executable model, and a checker of every interleaving of it.

* :func:`check` searches scenarios under a design: a list of :class:`Outcome`, each with its :class:`Violation` s and
  their :class:`Trace`. ``designs`` and ``scenarios`` are the catalogues, as mappings by name.
* :class:`Patch` and :class:`Design` are for designs of your own, :func:`scenario`, :class:`World` and
  :class:`MemoryKind` for scenarios of your own; :class:`Space`, with :class:`User`, :class:`Operation` and
  :class:`Constraint`, for a space of scenarios of your own.
* :func:`model` is a host that runs the kernel of a design, :func:`kvm` is this host. Both have the interface of
  :class:`Machine`; ``uapi`` has the constants of KVM's interface to user space.

Everything is imported when it is first used.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pfncache.check.compile.source import CompileError as CompileError
    from pfncache.designs.design import Design as Design
    from pfncache.designs.design import Patch as Patch
    from pfncache.linux.include import uapi as uapi
    from pfncache.machines.machine import Machine as Machine
    from pfncache.machines.machine import SyscallError as SyscallError
    from pfncache.machines.open import kvm as kvm
    from pfncache.machines.open import model as model
    from pfncache.scenarios.operations import Operation as Operation
    from pfncache.scenarios.scenario import Scenario as Scenario
    from pfncache.scenarios.scenario import scenario as scenario
    from pfncache.scenarios.space.dimension import Constraint as Constraint
    from pfncache.scenarios.space.space import Space as Space
    from pfncache.scenarios.space.user import User as User
    from pfncache.scenarios.world import MemoryKind as MemoryKind
    from pfncache.scenarios.world import World as World
    from pfncache.verify.check import check as check
    from pfncache.verify.outcome import Outcome as Outcome
    from pfncache.verify.outcome import Violation as Violation
    from pfncache.verify.trace import Trace as Trace

    designs: Mapping[str, Design]
    scenarios: Mapping[str, Scenario]

__version__ = "0.3.0.dev0"

_EXPORTS = {
    "CompileError": "pfncache.check.compile.source",
    "Constraint": "pfncache.scenarios.space.dimension",
    "Design": "pfncache.designs.design",
    "Machine": "pfncache.machines.machine",
    "MemoryKind": "pfncache.scenarios.world",
    "Operation": "pfncache.scenarios.operations",
    "Outcome": "pfncache.verify.outcome",
    "Patch": "pfncache.designs.design",
    "Scenario": "pfncache.scenarios.scenario",
    "Space": "pfncache.scenarios.space.space",
    "SyscallError": "pfncache.machines.machine",
    "Trace": "pfncache.verify.trace",
    "User": "pfncache.scenarios.space.user",
    "Violation": "pfncache.verify.outcome",
    "World": "pfncache.scenarios.world",
    "kvm": "pfncache.machines.open",
    "model": "pfncache.machines.open",
    "scenario": "pfncache.scenarios.scenario",
}
"""The module of each public name."""


class _CheckPackage(ModuleType):
    """The package ``pfncache.check``, which can be called."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Call :func:`pfncache.verify.check.check`."""
        return importlib.import_module("pfncache.verify.check").check(*args, **options)


class _CataloguePackage(ModuleType, Mapping[str, Any]):
    """A package that is the mapping of its catalogue's entries by name."""

    def __getitem__(self, name: str) -> Any:
        return self._entries()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries())

    def __len__(self) -> int:
        return len(self._entries())

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def _entries(self) -> Mapping[str, Any]:
        raise NotImplementedError


class _DesignsPackage(_CataloguePackage):
    """The package ``pfncache.designs``."""

    def _entries(self) -> Mapping[str, Any]:
        entries: Mapping[str, Any] = importlib.import_module("pfncache.designs.catalogue").DESIGNS
        return entries


class _ScenariosPackage(_CataloguePackage):
    """The package ``pfncache.scenarios``."""

    def _entries(self) -> Mapping[str, Any]:
        entries: Mapping[str, Any] = importlib.import_module("pfncache.scenarios").SCENARIOS
        return entries


_PACKAGES: dict[str, type[ModuleType]] = {
    "check": _CheckPackage,
    "designs": _DesignsPackage,
    "scenarios": _ScenariosPackage,
}
"""Public names that are rooms of the package as well."""


class _PublicPackage(ModuleType):
    """The package ``pfncache``.

    An import of ``pfncache.check.search`` binds the package ``check`` as an attribute here. So that the attribute is
    the public function as well, the package is made callable when it is bound, and that of a catalogue a mapping.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _PACKAGES and isinstance(value, ModuleType):
            value.__class__ = _PACKAGES[name]
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _PublicPackage

if not TYPE_CHECKING:  # a type checker knows the names above, and no others

    def __getattr__(name: str) -> Any:
        """Import a public name when it is first used, so that ``import pfncache`` costs nothing."""
        if name in _PACKAGES:
            return importlib.import_module(f"{__name__}.{name}")
        if name == "uapi":
            return importlib.import_module("pfncache.linux.include.uapi")
        if name not in _EXPORTS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(importlib.import_module(_EXPORTS[name]), name)
        return value


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted([*_EXPORTS, *_PACKAGES, "uapi", "__version__"])
