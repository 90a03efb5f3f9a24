# SPDX-License-Identifier: GPL-2.0-only
"""check(): a list of outcomes for designs and scenarios by name, by object and by file."""

from __future__ import annotations

from pathlib import Path

import pytest

import pfncache

SCENARIO = "clock/anon/munmap"


@pfncache.scenario(memory=pfncache.MemoryKind.GMEM_UNMAPPED)
def punch(w: pfncache.World) -> None:
    """The clock's page is punched out of a guest_memfd that user space does not map."""
    w.clock_on()
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))


def test_check_by_name() -> None:
    (outcome,) = pfncache.check("mainline-7.3", SCENARIO)
    assert (outcome.scenario, outcome.verdict, outcome.violations) == (SCENARIO, "holds", ())
    full = pfncache.check("mainline-7.3", [SCENARIO, "clock/anon/touch"], reduction=False, jobs=1)
    assert [o.scenario for o in full] == [SCENARIO, "clock/anon/touch"]
    assert full[0].states > outcome.states


def test_check_of_own_objects() -> None:
    design = pfncache.designs["rfc-v4-on-7.3"]
    holds, violated = pfncache.check(design, ["gmem/no-memory", punch], jobs=2)
    assert (holds.verdict, violated.scenario, violated.verdict) == ("holds", "test-check/punch", "violated")
    (violation,) = violated.violations
    assert violation.property == "use-after-free"
    assert violation.trace is not None
    assert violation.trace.actors == ("vcpu", "punch")
    assert str(violation.trace).endswith(violation.reason.rpartition(" ")[2])


def test_check_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from pfncache import designs\nd = designs['mainline-7.3'] + []\ne = d + []\n")
    assert [o.verdict for o in pfncache.check(f"{file}:e", SCENARIO)] == ["holds"]


def test_limits() -> None:
    (outcome,) = pfncache.check("mainline-7.3", "xen/two-senders", max_states=1000, reduction=False)
    assert (outcome.verdict, outcome.reason) == ("bounded", "the limit of 1,000 states")


def test_memory_that_a_kernel_lacks() -> None:
    """What was asked for is not applicable; of the default catalogue, nothing is left to say."""
    asked = pfncache.check("mainline-6.12", [punch, SCENARIO, "clock/gmem-ndm/"])
    assert [(o.scenario, o.verdict) for o in asked[:2]] == [("test-check/punch", "not-applicable"), (SCENARIO, "holds")]
    assert {(o.verdict, o.reason) for o in asked[2:]} == {
        ("not-applicable", "mainline-6.12 has no memory of the kind gmem-ndm")
    }
    assert len(asked) > 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rfc-v5",), "no design 'rfc-v5'; nearest: rfc-v"),
        (("rfc-v4", "clock/anon/munmpa"), "no scenario 'clock/anon/munmpa'; nearest: clock/anon/munmap"),
    ],
)
def test_names_that_do_not_exist(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(LookupError, match=message):
        pfncache.check(*arguments)


def test_code_that_is_not_in_the_language() -> None:
    from pfncache.linux.virt.kvm.pfncache import Pfncache

    class Listed(pfncache.Patch, Pfncache):
        def may_keep_pfn(self, gpc, hva_change):  # type: ignore[no-untyped-def]
            return [x for x in (1, 2)]  # noqa: C416

    with pytest.raises(pfncache.CompileError, match="a list comprehension is not in"):
        pfncache.check(pfncache.designs["mainline-7.3"] + [Listed], SCENARIO)


def test_a_patch_without_source() -> None:
    """As at the Python prompt, where inspect finds none."""
    scope: dict[str, object] = {"Patch": pfncache.Patch}
    exec("class Typed(Patch):\n    def may_keep_pfn(self, gpc, hva_change):\n        return True\n", scope)
    typed = scope["Typed"]
    assert isinstance(typed, type)
    assert issubclass(typed, pfncache.Patch)
    with pytest.raises(pfncache.CompileError, match="<string>:2: Typed: may_keep_pfn has no source to compile"):
        pfncache.check(pfncache.designs["mainline-7.3"] + [typed], SCENARIO)


def test_a_taken_name() -> None:
    taken = pfncache.Scenario(SCENARIO, "", punch.build)
    with pytest.raises(ValueError, match="the catalogue has a scenario 'clock/anon/munmap'"):
        pfncache.check("mainline-7.3", taken)
