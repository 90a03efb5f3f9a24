# SPDX-License-Identifier: GPL-2.0-only
"""The page in a browser: by mouse, by keyboard, by address, for a screen reader, by day and night, and on paper."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from pfncache.review.explorer.page import page
from tests.review.explorer.conftest import Open
from tests.review.explorer.samples import FINDING, HOSTILE, HOSTILE_FINDING, ROWS_ALONE, written

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow


@pytest.fixture
def address(tmp_path: Path) -> str:
    return written(tmp_path, page([FINDING, ROWS_ALONE], "a run"))


def status(shown: Page) -> str:
    text: str = shown.locator(".status").inner_text()
    return text


def test_it_begins_at_the_first_step_that_matters(opened: Open, address: str) -> None:
    shown = opened(address)
    text = "Step 1 of 5, CPU0 (vmm), invalidate(), virt/kvm/pfncache.py:41: vcpu.pv_time.valid: true → false"
    assert status(shown) == text
    assert shown.locator("main > article:visible h2").all_inner_texts() == ["use-after-free in gmem/punch under rfc-v4"]
    assert shown.locator("thead th:visible").all_inner_texts()[-2:] != []
    assert shown.locator(".steps thead th").all_inner_texts() == ["CPU0: vmm", "CPU1: vcpu"]


def test_buttons_walk_over_what_is_folded(opened: Open, address: str) -> None:
    shown = opened(address)
    shown.get_by_role("button", name="Next").click()
    assert status(shown).startswith("Step 4 of 5, CPU1 (vcpu)")
    shown.get_by_role("button", name="Last").click()
    assert status(shown).endswith("kvm.spte[0].pfn: 0 → none ⇒ pfn 0 is free")
    shown.get_by_role("button", name="Previous").click()
    shown.get_by_role("button", name="First").click()
    assert status(shown) == "Start, before step 1 of 5"


def test_a_fold_opens(opened: Open, address: str) -> None:
    shown = opened(address)
    fold = shown.get_by_role("button", name="2 steps that the violation does not depend on")
    assert fold.get_attribute("aria-expanded") == "false"
    fold.click()
    assert status(shown).startswith("Step 2 of 5")
    assert shown.locator(".steps button .number").all_inner_texts() == ["1", "2", "3", "4", "5"]


def test_all_steps_are_shown_on_demand(opened: Open, address: str) -> None:
    shown = opened(address)
    shown.get_by_label("all 5 steps").check()
    shown.get_by_role("button", name="Next").click()
    assert status(shown).startswith("Step 2 of 5")
    assert shown.locator(".fold").count() == 0


def test_keys_walk_and_the_focus_stays_on_the_step(opened: Open, address: str) -> None:
    shown = opened(address)
    shown.locator(".steps [aria-current=step]").focus()
    for key, step in (("ArrowRight", 4), ("j", 5), ("ArrowLeft", 4), ("k", 1), ("End", 5), ("a", 5), ("ArrowLeft", 4)):
        shown.keyboard.press(key)
        assert status(shown).startswith(f"Step {step} of 5"), key
        assert shown.evaluate("document.activeElement.getAttribute('aria-current')") == "step"
    shown.keyboard.press("Home")
    assert status(shown) == "Start, before step 1 of 5"


def test_tab_reaches_everything_in_order(opened: Open, address: str) -> None:
    """The skip link, the findings, the toolbar, one step of the columns, and the source."""
    shown = opened(address)
    reached = []
    for _ in range(14):
        shown.keyboard.press("Tab")
        focused = "document.activeElement.innerText || document.activeElement.type"
        reached.append(" ".join(shown.evaluate(focused).split()))
    assert reached[:8] == [
        "Skip to the findings", "use-after-free", "leak", "First", "◀ Previous", "Next ▶", "Last", "checkbox",
    ]  # fmt: skip
    assert reached[8].startswith("1 invalidate()")
    assert "caller_0()" in reached


def test_an_address_leads_to_a_step_and_back_to_it(opened: Open, address: str) -> None:
    shown = opened(f"{address}#finding-1/step-5")
    assert status(shown).startswith("Step 5 of 5")
    shown.keyboard.press("ArrowLeft")
    shown.wait_for_url("**#finding-1/step-4")
    shown.goto(f"{address}#finding-2")
    assert status(shown).startswith("Step 1 of 2, CPU0 (vmm), invalidate()")
    shown.goto(f"{address}#finding-1/step-2")
    assert status(shown).startswith("Step 2 of 5"), "a link into a fold opens it"
    shown.goto(f"{address}#finding-99/step-1")
    assert shown.locator("main > article:visible").count() == 1


def test_the_state_follows_forward_and_backward(opened: Open, address: str) -> None:
    shown = opened(f"{address}#finding-1/step-1")

    def valid() -> tuple[str, bool]:
        row = shown.locator(".objects tr", has_text=re.compile(r"^.*valid", re.DOTALL)).first
        return row.locator("td").last.inner_text(), "changed" in (row.get_attribute("class") or "")

    assert valid() == ("true false", True)
    shown.keyboard.press("End")
    assert valid() == ("true", False)
    pages = shown.get_by_role("region", name="Pages")
    assert pages.locator("tr.stale").inner_text().split("\n")[0].split("\t")[:2] == ["0", "free"]
    assert "cache vcpu.pv_time (valid, khva 0x8)" in pages.inner_text()
    shown.keyboard.press("Home")
    assert "1 reference" in pages.inner_text() and "SPTE kvm.spte[0]" in pages.inner_text()


def test_the_source_shows_the_line_and_each_caller(opened: Open, address: str) -> None:
    shown = opened(address)
    source = shown.get_by_role("region", name="Source")
    assert source.locator("h3").inner_text() == "virt/kvm/pfncache.py:41"
    assert source.locator(".here").get_attribute("value") == "41"
    source.get_by_role("button", name="caller_0()").click()
    assert source.locator("h3").inner_text() == "virt/kvm/pfncache.py:30"
    assert source.locator("[aria-pressed=true]").inner_text() == "caller_0()"


def test_landmarks_names_and_the_live_region(opened: Open, address: str) -> None:
    shown = opened(address)
    roles: tuple[tuple[Any, str], ...] = (
        ("navigation", "Findings"), ("toolbar", "Steps"), ("group", "Explorer of the interleaving"),
        ("region", "Interleaving"), ("region", "Source"), ("region", "Map of memory"), ("region", "State"),
    )  # fmt: skip
    for role, name in roles:
        assert shown.get_by_role(role, name=name).count() == 1, name
    assert shown.locator("main").count() == shown.locator("h1").count() == 1
    live = shown.locator("[aria-live=polite]")
    assert (live.get_attribute("role"), live.get_attribute("aria-atomic")) == ("status", "true")
    assert shown.evaluate("document.documentElement.lang") == "en"
    unnamed = (
        "[...document.querySelectorAll('button, a, input')].filter(e => !(e.innerText || e.labels?.length)).length"
    )
    assert shown.evaluate(unnamed) == 0
    assert shown.evaluate("new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size") == (
        shown.locator("[id]").count()
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_by_day_and_by_night(opened: Open, address: str, scheme: Literal["light", "dark"]) -> None:
    """WCAG 2.2, 1.4.3: a ratio of 4.5 between text and what is behind it."""
    shown = opened(address, scheme=scheme)
    ratios = shown.evaluate(CONTRASTS)
    assert {name: round(ratio, 1) for name, ratio in ratios.items() if ratio < 4.5} == {}
    assert len(ratios) > 5


CONTRASTS = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (colour) => rgb(colour).slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => { while (e && rgb(getComputedStyle(e).backgroundColor)[3] === 0) e = e.parentElement;
    return getComputedStyle(e ?? document.documentElement).backgroundColor; };
  const found = {};
  const texts = "h1, h2, p, a, button, .function, .note, .line, .number, .member, .struct, .source span, ins, del, th";
  for (const e of document.querySelectorAll(texts)) {
    if (!e.checkVisibility()) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
    const name = `${e.tagName}.${e.className}`;
    found[name] = Math.min((a + 0.05) / (b + 0.05), found[name] ?? 99);
  }
  return found;
}"""


def test_it_fits_a_phone(opened: Open, address: str) -> None:
    shown = opened(address, width=360, height=740)
    assert shown.evaluate("document.documentElement.scrollWidth") <= 360
    assert shown.locator(".steps thead").is_hidden()
    label = shown.locator(".steps td[data-cpu]").first.evaluate("e => getComputedStyle(e, '::before').content")
    assert label == '"CPU0: vmm"'
    small = (
        "[...document.querySelectorAll('.toolbar button')].filter(e => e.getBoundingClientRect().height < 24).length"
    )
    assert shown.evaluate(small) == 0


def test_on_paper_it_is_the_interleaving_without_controls(opened: Open, address: str) -> None:
    shown = opened(address)
    shown.emulate_media(media="print")
    assert shown.locator(".toolbar").is_hidden() and shown.locator("nav").is_hidden()
    assert shown.locator(".steps").is_visible() and shown.locator(".reason").is_visible()


def test_hostile_text_stays_text(opened: Open, tmp_path: Path) -> None:
    shown = opened(written(tmp_path, page([HOSTILE_FINDING], HOSTILE)))
    assert shown.title() == HOSTILE
    assert shown.locator("main h2").inner_text() == f"use-after-free in {HOSTILE} under {HOSTILE}"
    assert shown.locator("img").count() == 0
    shown.keyboard.press("End")
    assert status(shown).endswith(HOSTILE)


def test_the_policy_stops_a_script_that_got_in(opened: Open, address: str) -> None:
    shown = opened(address, allowed=("Trusted", "Content Security Policy"))
    blocked = """() => new Promise((done) => {
      document.addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective));
      const script = document.createElement("script");
      try { script.textContent = "document.title = 'driven'"; } catch { done("trusted-types"); return; }
      document.body.append(script);
    })"""
    assert shown.evaluate(blocked) in ("trusted-types", "require-trusted-types-for", "script-src-elem")
    assert shown.title() == "a run"
    shown.evaluate("performance.clearResourceTimings()")
    assert shown.evaluate("fetch('https://example.com/').then(() => 'went', () => 'refused')") == "refused"
    assert shown.evaluate("performance.getEntriesByType('resource').length") == 0


def test_without_javascript_the_text_is_there(chromium: Browser, address: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    shown = context.new_page()
    shown.goto(address)
    assert shown.locator("main > article:visible").count() == 2
    assert "CPU0: vmm" in (shown.locator("pre").first.text_content() or "")
    context.close()
