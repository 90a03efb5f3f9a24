# SPDX-License-Identifier: GPL-2.0-only
"""KVM's own C, where it was fetched, gives the verdicts of the model."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfncache.csource.errors import SourceError
from pfncache.csource.kvm.translation import FILES, Translation, translate
from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.design import Design
from pfncache.designs.from_c import patch_of, translation_of
from pfncache.verify.check import check
from pfncache.verify.job import Job
from pfncache.verify.outcome import Outcome
from pfncache.verify.program_cache import layers_of as names_of_layers
from pfncache.verify.runner import OutcomeCache
from tests.csource.kvm.trees import copied, source, with_body

PFNCACHE = "virt/kvm/pfncache.c"
RELEASES = {"7.3.4": "mainline-7.3", "7.2.12": "mainline-7.2", "6.12.117": "mainline-6.12"}


REFUSED = {"7.3.4": set[str](), "7.2.12": set[str](), "6.12.117": set[str]()}
"""Functions that the model has and that are not translated yet."""

MAIN = {
    "memslots": {
        "kvm_vm_ioctl_set_memory_region", "kvm_set_memory_region", "check_memory_region_flags", "kvm_set_memslot",
        "kvm_check_memslot_overlap", "kvm_prepare_memory_region", "kvm_commit_memory_region", "kvm_invalidate_memslot",
        "kvm_create_memslot", "kvm_delete_memslot", "kvm_move_memslot", "kvm_update_flags_memslot", "kvm_copy_memslot",
        "kvm_activate_memslot", "kvm_swap_active_memslots", "kvm_get_inactive_memslots", "kvm_memslots_get_as_id",
        "kvm_free_memslot", "kvm_free_memslots", "kvm_destroy_dirty_bitmap",
    },
    "guest access": {
        "kvm_read_guest", "kvm_read_guest_page", "__kvm_read_guest_page", "kvm_write_guest", "kvm_write_guest_page",
        "__kvm_write_guest_page", "kvm_gfn_to_hva_cache_init", "__kvm_gfn_to_hva_cache_init",
        "kvm_read_guest_offset_cached", "kvm_write_guest_offset_cached", "mark_page_dirty", "mark_page_dirty_in_slot",
    },
    "lookups": {
        "hva_to_pfn", "hva_to_pfn_fast", "hva_to_pfn_slow", "hva_to_pfn_remapped", "kvm_resolve_pfn", "kvm_follow_pfn",
        "__kvm_vcpu_map", "kvm_vcpu_unmap",
    },
    "a VM": {"kvm_get_kvm", "kvm_put_kvm", "kvm_destroy_vm"},
}  # fmt: skip
"""Functions of kvm_main.c that are translated, by subsystem."""
NOT_OF_6_12 = MAIN["lookups"]
"""hva_to_pfn() had six parameters before 6.13, and is by hand there."""


def design(translation: Translation) -> Design:
    base = DESIGNS[RELEASES[translation.version]]
    return (base + [patch_of(translation)]).named("from-c", "from C")


def found(outcomes: list[Outcome]) -> dict[str, tuple[str, set[str]]]:
    """Verdicts and properties. A property may be violated in more places from C than by hand."""
    return {o.scenario: (o.verdict.value, {v.property for v in o.violations}) for o in outcomes}


@pytest.mark.parametrize("release", RELEASES)
def test_every_function_of_pfncache_is_translated(release: str) -> None:
    done = translate(source(release), [PFNCACHE], version=release)
    assert {name: str(why) for name, why in done.refused.items()} == {}
    assert len(done.translated) == 14
    assert done.translated["kvm_gpc_check"].file == PFNCACHE


@pytest.mark.parametrize("release", RELEASES)
def test_what_the_model_has_is_translated(release: str) -> None:
    done = translate(source(release), version=release)
    assert set(done.refused) == REFUSED[release]
    assert set(done.by_hand) & set(done.translated) == set()


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("subsystem", MAIN)
def test_functions_of_kvm_main_are_translated(release: str, subsystem: str) -> None:
    done = translate(source(release), version=release)
    missing = {name for name in MAIN[subsystem] if name not in done.translated}
    assert missing == (NOT_OF_6_12 & MAIN[subsystem] if release == "6.12.117" else set())


def test_what_is_by_hand_depends_on_the_parameters() -> None:
    by_hand = {release: translate(source(release), version=release).by_hand for release in RELEASES}
    assert {release: "hva_to_pfn" in known for release, known in by_hand.items()} == {
        "7.3.4": False, "7.2.12": False, "6.12.117": True,
    }  # fmt: skip


def test_barriers_of_a_function() -> None:
    done = translate(source("7.3.4"), [PFNCACHE], version="7.3.4")
    assert done.translated["mmu_notifier_retry_cache"].barriers == ("smp_rmb",)


def test_pfncache_gives_the_verdicts_of_the_model() -> None:
    c = design(translate(source("7.3.4"), [PFNCACHE], version="7.3.4"))
    assert found(check(c, "gpc/", jobs=1)) == found(check("mainline-7.3", "gpc/", jobs=1))


@pytest.mark.slow
@pytest.mark.parametrize("release", RELEASES)
def test_the_default_catalogue_has_the_verdicts_of_the_model(release: str) -> None:
    translation = translate(source(release), version=release)
    by_hand, from_c = check(RELEASES[release]), check(design(translation))
    assert found(by_hand) == found(from_c)
    assert sum(o.states for o in from_c) <= 1.5 * sum(o.states for o in by_hand)


def test_a_fault_in_c_is_found_on_its_own_line(tmp_path: Path) -> None:
    tree = copied("7.3.4", tmp_path)
    with_body(tree, PFNCACHE, "mmu_notifier_retry_cache", "\treturn kvm->mn_active_invalidate_count == 5;")
    (outcome,) = check(design(translate(tree, [PFNCACHE], version="7.3.4")), "clock/anon/munmap", jobs=1)
    assert outcome.violations[0].property == "stale-translation"
    trace = outcome.violations[0].trace
    assert trace is not None
    lines = [row for row in trace.rows if row.source.startswith(f"{PFNCACHE}:")]
    assert lines
    text = (tree / PFNCACHE).read_text().splitlines()
    assert all(text[int(row.source.rpartition(":")[2]) - 1].strip() == row.text for row in lines)
    assert "return kvm->mn_active_invalidate_count == 5;" in [row.text for row in lines]


def test_the_key_depends_on_the_text(tmp_path: Path) -> None:
    tree = copied("7.3.4", tmp_path)
    before = translate(tree, [PFNCACHE], version="7.3.4").key
    assert translate(tree, [PFNCACHE], version="7.3.4").key == before
    with_body(tree, PFNCACHE, "mmu_notifier_retry_cache", "\treturn false;")
    assert translate(tree, [PFNCACHE], version="7.3.4").key != before


def test_a_refused_function_has_its_place(tmp_path: Path) -> None:
    tree = copied("7.3.4", tmp_path)
    with_body(tree, PFNCACHE, "mmu_notifier_retry_cache", "\treturn no_such_function(kvm);")
    refused = translate(tree, [PFNCACHE], version="7.3.4").refused
    assert refused["mmu_notifier_retry_cache"].what == "the model has no no_such_function()"
    assert refused["hva_to_pfn_retry"].what == "it calls mmu_notifier_retry_cache(), which is not translated"
    assert "kvm_gpc_check" not in refused


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as raised:
        translate(tmp_path, [PFNCACHE], version="7.3.4")
    assert str(raised.value) == f"{PFNCACHE}: no such file or directory in {tmp_path}"


def test_a_patch_knows_its_translation() -> None:
    translation = translate(source("7.3.4"), FILES, version="7.3.4")
    patch = patch_of(translation)
    assert translation_of(patch) is translation
    assert patch.subject() == f"{', '.join(sorted(FILES))} of Linux 7.3.4, translated"


def layers_of(translation: Translation) -> tuple[str, ...]:
    return names_of_layers(design(translation).kernel())


def test_compiled_systems_are_cached_by_what_was_read(tmp_path: Path) -> None:
    tree = copied("7.3.4", tmp_path)
    first, again = (translate(tree, [PFNCACHE], version="7.3.4") for _ in range(2))
    assert layers_of(first) == layers_of(again)
    with_body(tree, PFNCACHE, "mmu_notifier_retry_cache", "\treturn false;")
    assert layers_of(first) != layers_of(translate(tree, [PFNCACHE], version="7.3.4"))


def test_two_translations_do_not_share_an_outcome_that_differs(tmp_path: Path) -> None:
    """Equal code of two trees is not one function: each translation has its own names."""
    tree = copied("7.3.4", tmp_path)
    good = design(translate(tree, [PFNCACHE], version="7.3.4"))
    with_body(tree, PFNCACHE, "mmu_notifier_retry_cache", "\treturn kvm->mn_active_invalidate_count == 5;")
    bad = design(translate(tree, [PFNCACHE], version="7.3.4"))
    cache = OutcomeCache()
    outcomes = [cache.run(Job(d, "clock/anon/munmap", max_states=100_000)) for d in (good, bad, good)]
    assert [o.verdict.value for o in outcomes] == ["holds", "violated", "holds"]
    assert len({o.seconds for o in outcomes}) == 2
