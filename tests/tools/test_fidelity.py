# SPDX-License-Identifier: GPL-2.0-only
"""The fidelity table has every function of the model."""

from __future__ import annotations

from tools.fidelity import Entry, entries, render


def test_table() -> None:
    text = render(entries())
    assert "## virt/kvm/pfncache.py\n" in text
    assert "| `kvm_gpc_check()` | `kvm_gpc_check()`, line " in text
    assert "| `__kvm_gpc_refresh()` | `_kvm_gpc_refresh()`, line " in text


def test_parts() -> None:
    part = Entry("a.py", 7, "half", "whole", True, "a.c whole(), v7.3.4.", "a | b.")
    anywhere = Entry("a.py", 9, "half", "", True, "nothing; a step.", "")
    lines = render([part, anywhere]).splitlines()
    assert "| a part of `whole()` | `half()`, line 7 | a.c whole(), v7.3.4. **Simplified:** a \\| b |" in lines
    assert "| a part of its callers | `half()`, line 9 | nothing; a step |" in lines
