"""A real Chromium for tests: where it is, how it is started. `python -m tests.browser` installs it where apt can."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from playwright.async_api import Browser, BrowserContext, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = (
    "The tests of the web chat need Chromium, and there is none: install it (Debian, Ubuntu: apt install chromium) or name yours in PARLEY_CHROMIUM."
)
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",
)  # fmt: skip


def chromium() -> str | None:
    """The browser that PARLEY_CHROMIUM names, or the one on the path."""
    named = os.environ.get("PARLEY_CHROMIUM")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


@contextlib.asynccontextmanager
async def started() -> AsyncIterator[Browser]:
    """A browser for many people: to start one takes longer than most of what is done in it."""
    path = chromium()
    assert path is not None, MISSING
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, headless=True, args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def person(browser: Browser, **options: object) -> AsyncIterator[BrowserContext]:
    """One visitor with all their tabs, and a profile of their own: nothing in it is of anybody before them."""
    context = await browser.new_context(**{"viewport": {"width": 1200, "height": 800}, **options})
    try:
        yield context
    finally:
        await context.close()


class Chrome:
    """One browser for all tests, with a loop of its own that runs only while a test asks something."""

    def __enter__(self) -> "Chrome":
        self._runner, self._context = asyncio.Runner(), started()
        self._browser = self.run(self._context.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._context.__aexit__(None, None, None))
        self._runner.close()

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(main)

    def person(self, **options: object) -> contextlib.AbstractAsyncContextManager[BrowserContext]:
        return person(self._browser, **options)


def main() -> int:
    """Makes sure that there is one; 1 and a sentence where that is not possible."""
    if chromium() is None and shutil.which("apt-get") and os.geteuid() == 0:
        for words in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]):
            subprocess.run(words, check=False, stdout=subprocess.DEVNULL)
    if chromium() is None:
        sys.stderr.write(f"{MISSING}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
