"""The system's Chromium, and a page in it as a user of Airflow sees it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, BrowserContext, FrameLocator, Locator, Page, Playwright

from tests.ui.served import ServedAirflow

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 60_000
"""Milliseconds that a page may take for anything; the machine does a lot besides."""
Theme = Literal["light", "dark"]


def chromium() -> str:
    """Where Chromium is.

    :raises RuntimeError: there is none.
    """
    for name in (os.environ.get("CHROMIUM"), *NAMES):
        if name and (found := shutil.which(name)):
            return found
    raise RuntimeError(
        "The browser tests need Chromium, and there is none on the PATH: apt-get install chromium, or name another one by "
        "CHROMIUM=/path/to/chrome."
    )


def launched(playwright: Playwright) -> Browser:
    """A browser with nothing in it, that talks to nobody but the pages' server."""
    return playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS), headless=True)


def signed_in(
    browser: Browser,
    airflow: ServedAirflow,
    user: str | None,
    *,
    theme: Theme = "light",
    width: int = 1280,
    height: int = 900,
) -> BrowserContext:
    """A browser of a user's own.

    :param user: None: somebody who is not signed in.
    """
    # What Airflow's own switch between light and dark keeps.
    kept = {"origin": airflow.url, "localStorage": [{"name": "theme", "value": theme}]}
    context = browser.new_context(
        base_url=airflow.url,
        color_scheme=theme,
        viewport={"width": width, "height": height},
        locale="en-GB",
        timezone_id="UTC",
        storage_state={"cookies": [], "origins": [kept]},
    )
    if user is not None:
        context.add_cookies([{"name": "_token", "value": airflow.token(user), "url": airflow.url}])
    context.set_default_timeout(PATIENCE)
    context.set_default_navigation_timeout(PATIENCE)
    return context


def row_of(page: Page | FrameLocator, run_id: str) -> Locator:
    """A run's lines in the table of trainings."""
    return page.locator(f'tr[data-key*="{run_id}"]')


def in_airflow(page: Page) -> FrameLocator:
    """Our page in the frame that Airflow puts around it."""
    return page.frame_locator("iframe[src*='/spot/']")


def photograph(page: Page, path: Path) -> None:
    """Take a picture, in as few bytes as a page of plain colours needs."""
    from PIL import Image

    page.screenshot(path=path, animations="disabled")
    with Image.open(path) as taken:
        taken.convert("RGB").quantize(colors=256, dither=Image.Dither.NONE).save(path, optimize=True)
