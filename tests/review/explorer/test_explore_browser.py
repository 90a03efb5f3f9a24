# SPDX-License-Identifier: GPL-2.0-only
"""Pages of real runs in a browser: how fast a step is, and a walk with the server."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from pfncache.designs.catalogue import DESIGNS
from pfncache.review.explorer.server import ExplorerServer
from pfncache.review.explorer.walker import Walker
from pfncache.scenarios import SCENARIOS
from tests.conftest import Call
from tests.review.explorer.conftest import Open, picture

pytestmark = pytest.mark.slow
STEP_MS = 50.0
"""Limit of a step, with the layout of the page."""
WALK = """(key) => {
  const times = [];
  for (let i = 0; i < 40; i += 1) {
    const before = performance.now();
    document.querySelector(`button[aria-keyshortcuts=${key}]`).click();
    document.body.offsetHeight;
    times.push(performance.now() - before);
  }
  return times;
}"""


@pytest.fixture
def report(pfncache: Call, tmp_path: Path) -> str:
    path = tmp_path / "report.html"
    done = pfncache("verify", "rfc-v4-on-7.3", "-s", "gmem/unmapped-punch", "--html", str(path))
    assert done.code == 1 and path.stat().st_size < 2_000_000
    return path.as_uri()


def test_a_step_of_a_real_run_takes_less_than_50_ms(opened: Open, report: str) -> None:
    shown = opened(report)
    shown.keyboard.press("a")
    shown.keyboard.press("Home")
    for key in ("ArrowRight", "ArrowLeft"):
        assert statistics.median(shown.evaluate(WALK, key)) < STEP_MS


def test_the_pictures_of_the_documentation(opened: Open, report: str) -> None:
    pictures: tuple[tuple[int, int, Literal["light", "dark"], str], ...] = (
        (1280, 800, "light", "explorer.png"),
        (360, 740, "dark", "explorer-phone.png"),
    )
    for width, height, scheme, name in pictures:
        shown = opened(f"{report}#finding-1/step-108", width, height, scheme)
        assert "CPU0 (vcpu), kvm_release_page_clean()" in shown.locator(".status").inner_text()
        shown.locator(".status").evaluate("e => e.closest('article').scrollIntoView()")
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        picture(shown, name)


@pytest.fixture(scope="module")
def server() -> Iterator[ExplorerServer]:
    walker = Walker(DESIGNS["list-outside-refresh-lock"], SCENARIOS["gpc/activate-twice"])
    with ExplorerServer(walker) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def test_a_reader_walks_another_interleaving(opened: Open, server: ExplorerServer) -> None:
    expect = pytest.importorskip("playwright.sync_api").expect
    shown = opened(server.url)
    status, functions = shown.locator(".status"), shown.locator(".next .function")
    shown.keyboard.press("Home")
    expect(functions).to_have_text(["CPU0: activate_cache()", "CPU1: activate_cache()"])
    functions.last.click()
    expect(status).to_contain_text("Step 1 of 1, CPU1 (b), activate_cache()")
    expect(shown.locator("main h2")).to_have_text("a run in gpc/activate-twice under list-outside-refresh-lock")
    expect(functions).to_have_text(["CPU0: activate_cache()", "CPU1: __kvm_gpc_activate()"])
    functions.first.click()
    expect(status).to_contain_text("Step 2 of 2, CPU0 (a), activate_cache()")
    expect(functions).to_have_text(["CPU0: __kvm_gpc_activate()", "CPU1: __kvm_gpc_activate()"])
    shown.get_by_role("button", name="Previous").click()
    expect(functions).to_have_text(["CPU0: activate_cache()", "CPU1: __kvm_gpc_activate()"])


def test_a_reader_lets_a_cpu_run_on(opened: Open, server: ExplorerServer) -> None:
    expect = pytest.importorskip("playwright.sync_api").expect
    shown = opened(server.url)
    shown.keyboard.press("Home")
    functions = shown.locator(".next .function")
    shown.get_by_role("button", name="Run CPU1 on").click()
    expect(functions).to_have_text(["CPU0: activate_cache()", *["CPU1: do_anonymous_page()"] * 3])
    functions.last.click()
    expect(functions).to_have_count(2)
    shown.get_by_role("button", name="Run CPU1 on").click()
    expect(functions).to_have_text(["CPU0: activate_cache()"])


def test_a_reader_finds_a_run(opened: Open, server: ExplorerServer) -> None:
    expect = pytest.importorskip("playwright.sync_api").expect
    shown = opened(server.url, allowed=("400 (Bad Request)",))
    field = shown.get_by_label("Find a run where this property is violated, or this line is reached:")
    message = shown.locator(".message")
    for what, text in (
        ("list-corruption", "a shortest run that violates list-corruption"),
        ("pfncache.py:396", "a shortest run that reaches pfncache.py:396"),
        ("pfncache.py:1", "no step is at pfncache.py:1; the nearest lines with one: "),
    ):
        field.fill(what)
        shown.get_by_role("button", name="Find", exact=True).click()
        expect(message).to_contain_text(text)
    assert shown.locator(".source-pane h3").inner_text() == "virt/kvm/pfncache.py:396"
    assert message.get_attribute("role") == "alert"
