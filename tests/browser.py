"""A real Chromium for tests: where it is, how it is started. `python -m tests.browser` installs it where apt can."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator

from playwright.async_api import BrowserContext, async_playwright

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
async def person(**options: object) -> AsyncIterator[BrowserContext]:
    """A browser with a profile of its own: one visitor with all their tabs."""
    path = chromium()
    assert path is not None, MISSING
    with tempfile.TemporaryDirectory(prefix="parley-browser-", ignore_cleanup_errors=True) as profile:
        async with async_playwright() as playwright:
            context = await playwright.chromium.launch_persistent_context(
                profile, executable_path=path, headless=True, args=list(FLAGS), **{"viewport": {"width": 1200, "height": 800}, **options}
            )
            try:
                yield context
            finally:
                await context.close()


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
