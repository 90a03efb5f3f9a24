# SPDX-License-Identifier: GPL-2.0-only
"""A real Chromium, driven by Playwright; tests that need it are skipped where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SCREENSHOTS = os.environ.get("PFNCACHE_SCREENSHOTS")
"""A folder into which the tests write the pictures of the documentation; by default they write none."""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A headless Chromium, the one that the distribution packages."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install '.[browser]'")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("needs Chromium: apt install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield browser
        browser.close()


Open = Callable[..., "Page"]


@pytest.fixture
def opened(chromium: Browser) -> Iterator[Open]:
    """Open an address in a window of its own; an error that is not `allowed` fails the test."""
    errors: list[str] = []
    contexts = []

    def note(kind: str, text: str, allowed: tuple[str, ...]) -> None:
        if kind == "error" and not any(part in text for part in allowed):
            errors.append(text)

    def open_page(
        address: str,
        width: int = 1280,
        height: int = 900,
        scheme: Literal["light", "dark"] = "light",
        allowed: tuple[str, ...] = (),
    ) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: note(message.type, message.text, allowed))
        page.set_default_timeout(10_000)
        page.goto(address)
        page.wait_for_selector("html.scripted")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


def picture(page: Page, name: str) -> None:
    """Write a picture of the documentation, if that is asked for."""
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / name)
