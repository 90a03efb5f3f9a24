# SPDX-License-Identifier: GPL-2.0-only
"""KVM's gfn_to_pfn_cache with guest_memfd support, as a model that runs and that is checked.

At the Python prompt, a machine is a host with KVM and one process of ours: ``pfncache.model("rfc-v4")`` runs the kernel
of a design, ``pfncache.kvm()`` is this host's. Both have the interface of :class:`pfncache.machines.machine.Machine`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pfncache.machines.machine import Machine as Machine
    from pfncache.machines.machine import SyscallError as SyscallError
    from pfncache.machines.open import kvm as kvm
    from pfncache.machines.open import model as model

_EXPORTS = {
    "Machine": "pfncache.machines.machine",
    "SyscallError": "pfncache.machines.machine",
    "kvm": "pfncache.machines.open",
    "model": "pfncache.machines.open",
}


def __getattr__(name: str) -> Any:
    """Import what is used: the command line and the checker want none of it."""
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    """The public names."""
    return sorted(_EXPORTS)
