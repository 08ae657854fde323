"""`python -m tests.pictures docs/pictures`: the dashboards' pages as pictures for the documentation, with the figures of the tests; the same at every run."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from playwright.async_api import Browser

from parley import schemadocs
from parley.local import free_port
from parley.local.postgres import Postgres
from parley.settings import Settings
from tests.browser import MISSING, chromium, person, started
from tests.looking import NOW, Shown, fill, pages, talk


class Picture(NamedTuple):
    """A page as somebody sees it."""

    name: str
    path: str
    locale: str = "en-GB"
    scheme: str = "light"
    width: int = 1200


PICTURES = (
    Picture("overview", "/"),
    Picture("campaigns", "/campaigns", scheme="dark"),
    Picture("campaign", "/campaigns/first-flush"),
    Picture("experiment", "/experiments/first-flush?metric=click"),
    Picture("channels", "/channels", scheme="dark"),
    Picture("conversations", "/conversations", locale="ko-KR"),
    Picture("deliverability", "/deliverability"),
    Picture("phone", "/?range=7d", locale="ko-KR", scheme="dark", width=390),
)
"""Between them both languages, day and night, a desk and a phone."""
HIGHEST = 1500
"""Of a picture: what is below looks like what is above."""


async def take(browser: Browser, shown: Shown, picture: Picture, target: Path) -> Path:
    """Signs in, waits for the chart, and takes the picture; the clock of the browser stands still."""
    height = HIGHEST if picture.width > 400 else 1100
    view = {
        "locale": picture.locale,
        "color_scheme": picture.scheme,
        "viewport": {"width": picture.width, "height": height},
        "timezone_id": "Asia/Seoul",
    }
    async with person(browser, **view) as somebody:
        tab = await somebody.new_page()
        await tab.clock.set_fixed_time(NOW)
        await tab.goto(shown.address("/sign-in"))
        await tab.locator("input[name=key]").fill("people")
        await tab.keyboard.press("Enter")
        await tab.locator("header nav").wait_for()
        await tab.goto(shown.address(picture.path))
        await tab.locator("#live > *").first.wait_for()
        await tab.evaluate("document.activeElement.blur(); new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        whole = await tab.evaluate("document.documentElement.scrollHeight")
        await tab.set_viewport_size({"width": picture.width, "height": min(whole, height)})
        await tab.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        path = target / f"{picture.name}.png"
        await tab.screenshot(path=path)
        return path


async def main(target: Path) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder) / "postgres", free_port())
        await server.start()
        try:
            await schemadocs.made(server.address, schemadocs.service("analytics"))
            keys = Path(folder) / "config"
            keys.mkdir()
            async with pages(Settings(kafka="127.0.0.1:9", database=server.address, port=0, secret="pictures"), keys) as shown, started() as browser:
                await fill(shown.pool)
                await talk(shown.pool)
                for picture in PICTURES:
                    sys.stdout.write(f"{await take(browser, shown, picture, target)}\n")
        finally:
            await server.stop()


if __name__ == "__main__":
    if chromium() is None:
        sys.stderr.write(f"{MISSING} The pictures stay as they are.\n")
    else:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures")
        folder.mkdir(parents=True, exist_ok=True)
        asyncio.run(main(folder))
