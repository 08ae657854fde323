"""sender's screen in a real Chromium: what is unknown is settled, lanes are set, addresses looked up; by mouse and keyboard, in two languages."""

import asyncio
import os
import re
from uuid import uuid4

import aiohttp
import pytest
from playwright.async_api import expect

from parley.contracts import Content
from parley.twin.behaviour import Behaviour
from parley_sender.screens import FILES
from tests.browser import MISSING, chromium
from tests.conftest import until
from tests.telling import Open

# Where no browser can be had, a laptop says so and goes on; CI does not.
pytestmark = [pytest.mark.stack, pytest.mark.skipif(chromium() is None and "CI" not in os.environ, reason=MISSING)]
HANGING = {"hang_after_accepting": 1.0, "hang_ms": 20}


@pytest.fixture
def desk(settings, tmp_path, monkeypatch):
    return lambda **account: Open(settings, tmp_path, monkeypatch, **{"honours_keys": False, **account})


async def opened(browser, one, part="", key="people"):
    """The screen with a key typed in, and what it complained of."""
    tab, faults = await browser.new_page(), []
    tab.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: faults.append(str(error)))
    await tab.goto(f"http://127.0.0.1:{one.one.port}/{part}")
    await tab.get_by_label(re.compile("API")).fill(key)
    await tab.keyboard.press("Enter")
    return tab, faults


def test_a_message_in_doubt_is_looked_into_and_settled(chrome, desk):
    """Its story is read, a reason is asked for, a resend is asked about once more; and then it is gone from the list and sent."""

    async def main():
        async with desk().open(**HANGING) as one, chrome.person() as browser:
            await one.ask("<b>maybe</b>")
            await one.ends(unknown=1)
            one.twin.behave({"*": Behaviour(receipts=False)})
            tab, faults = await opened(browser, one)
            card = tab.get_by_role("article")
            await card.get_by_role("button", name="Story").click()
            await expect(card.locator("ol.story li")).to_have_count(4)
            await card.get_by_role("button", name="Send it once more").click()
            await expect(tab.get_by_role("status")).to_have_text("Say why first.")
            await tab.keyboard.type("asked the operator")
            await card.get_by_role("button", name="Send it once more").click()
            await card.get_by_role("button", name="Yes").click()
            await expect(card).to_have_count(0)
            await one.ends(sent=1)
            return faults, one.received(), await one.one.context.pool.fetchval("SELECT detail->>'note' FROM notes WHERE what = 'settled'")

    assert ([], ["<b>maybe</b>"] * 2, "asked the operator") == chrome.run(main())


def test_a_lane_is_settled_at_once_with_the_keyboard_alone(chrome, desk):
    """Chosen, a reason, a word, a second word; No is where the focus is."""

    async def main():
        async with desk().open(**HANGING) as one, chrome.person() as browser:
            for text in ("one", "two", "three"):
                await one.publish(message_id=uuid4(), contact_id=uuid4(), content=Content(text=text))
            await one.ends(unknown=3)
            tab, faults = await opened(browser, one)
            await tab.get_by_label("Lane").select_option("app")
            await tab.get_by_role("button", name="Show").press("Enter")
            all_of = tab.get_by_role("region", name="All of lane app")
            await all_of.get_by_label(re.compile("Why")).fill("outage of the operator")
            await all_of.get_by_role("button", name="It failed").press("Enter")
            await expect(tab.get_by_role("button", name="No", exact=True)).to_be_focused()
            await tab.keyboard.press("Tab")
            await tab.keyboard.press("Enter")
            await expect(tab.get_by_role("status")).to_have_text("3 settled.")
            return faults, dict(await one.statuses())

    assert ([], {"failed": 3}) == chrome.run(main())


def test_a_lane_is_paused_and_given_another_rate(chrome, desk):
    """A rate that is none is told in words; what is set shows, in Korean too."""

    async def main():
        async with desk().open() as one, chrome.person(locale="ko-KR") as browser:
            tab, faults = await opened(browser, one, "#lanes")
            card = tab.locator("#lane-app")
            await card.get_by_role("button", name="멈추기").click()
            await expect(card.get_by_text("people 님이")).to_be_visible()
            await card.get_by_label("새 속도").fill("fast")
            await card.get_by_role("button", name="속도 정하기").click()
            await expect(tab.get_by_role("status")).to_contain_text("a rate is a number from 0.001")
            await card.get_by_label("새 속도").fill("5/s")
            await card.get_by_role("button", name="속도 정하기").click()
            await expect(card.get_by_text("5/s (여기서 정함)")).to_be_visible()
            await card.get_by_role("button", name="다시 보내기").click()
            await expect(card.get_by_text("보내는 중")).to_be_visible()
            row = await one.one.context.pool.fetchrow("SELECT paused_by, rate FROM lanes WHERE lane = 'app'")
            return [fault for fault in faults if "422" not in fault], tuple(row), await tab.evaluate("document.documentElement.lang")

    assert ([], (None, "5/s"), "ko") == chrome.run(main())


def test_an_address_is_listed_and_taken_off(chrome, desk):
    """Looked up first, then put on the list, then off it."""

    async def main():
        async with desk().open() as one, chrome.person() as browser:
            tab, faults = await opened(browser, one, "#suppressions")
            await tab.get_by_label("Channel").select_option("inapp")
            await tab.get_by_label("Address", exact=True).fill("u1")
            await tab.keyboard.press("Enter")
            await expect(tab.get_by_text("Nothing keeps messages from this address.")).to_be_visible()
            await tab.get_by_label("Note").fill("by phone")
            await tab.get_by_role("button", name="Put on the list").click()
            await expect(tab.get_by_text("asked: by phone")).to_be_visible()
            listed = await one.one.context.pool.fetchval("SELECT count(*) FROM suppressions")
            await tab.get_by_role("button", name="Take off the list").click()
            await expect(tab.get_by_role("status")).to_have_text("u1 is off the list.")
            return faults, listed, await one.one.context.pool.fetchval("SELECT count(*) FROM suppressions")

    assert ([], 1, 0) == chrome.run(main())


def test_the_key_stays_in_its_tab_and_a_wrong_one_is_said(chrome, desk):
    """Nothing is shown without one; it can be forgotten; a key that may only read is told what it lacks."""

    async def main():
        async with desk().open() as one, chrome.person() as browser:
            tab, _ = await opened(browser, one, key="nobody")
            await expect(tab.get_by_role("status")).to_have_text("The key is not known.")
            await tab.get_by_label(re.compile("API")).fill("staff-key")
            await tab.keyboard.press("Enter")
            await tab.get_by_role("link", name="Lanes").click()
            await tab.get_by_role("button", name="Pause").click()
            await expect(tab.get_by_role("status")).to_contain_text("lanes:write")
            kept = await tab.evaluate("[sessionStorage.length, Object.values(localStorage).join().includes('staff-key')]")
            other = await browser.new_page()
            await other.goto(f"http://127.0.0.1:{one.one.port}/")
            await expect(other.get_by_label(re.compile("API"))).to_be_visible()
            await tab.get_by_role("button", name="Forget the key").click()
            await expect(tab.get_by_label(re.compile("API"))).to_be_visible()
            return kept, await tab.evaluate("sessionStorage.length")

    assert ([1, False], 0) == chrome.run(main())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_can_be_read(chrome, desk, scheme):
    """Nothing is wider than 390 px, targets are big enough to be hit, and texts stand out from what is behind them, by day and by night."""

    async def main():
        async with desk().open(**HANGING) as one, chrome.person(viewport={"width": 390, "height": 844}, color_scheme=scheme) as browser:
            await one.ask("maybe")
            await one.ends(unknown=1)
            found = []
            tab, _ = await opened(browser, one)
            for part in ("Unknown", "Lanes", "Suppressions"):
                await tab.get_by_role("link", name=part).click()
                await expect(tab.get_by_role("heading", name=part)).to_be_visible()
                await until(lambda: tab.locator("main button").count(), "the buttons of the part")
                await expect(tab.locator("main")).not_to_contain_text(re.compile("null|undefined|NaN"))
                found.append(await tab.evaluate(LOOKED_AT))
            return found

    for width, lowest, contrast in chrome.run(main()):
        assert width <= 390
        assert lowest >= 44
        assert contrast >= 4.5


def test_nothing_else_is_loaded_or_run(desk):
    """Every file says so to the browser; a copy that is current is not sent again."""

    async def main():
        async with desk().open() as one, aiohttp.ClientSession(f"http://127.0.0.1:{one.one.port}") as http:
            answers = [await http.get(path) for path in FILES]
            again = [await http.get(path, headers={"if-none-match": first.headers["etag"]}) for path, first in zip(FILES, answers, strict=True)]
            return [(each.status, each.headers["content-security-policy"], each.content_type) for each in answers], [each.status for each in again]

    answers, again = asyncio.run(main())

    assert [(200, media) for _, media in FILES.values()] == [(status, media) for status, _, media in answers]
    assert all("default-src 'none'" in policy and "unsafe" not in policy for _, policy, _ in answers)
    assert {304} == set(again)


LOOKED_AT = """() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = (colour) => numbers(colour).map((one) => one / 255).map((one) => one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
    .reduce((sum, one, place) => sum + one * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = (node) => { for (let one = node; one; one = one.parentElement) { const found = getComputedStyle(one).backgroundColor;
    if (!found.endsWith(", 0)")) return found; } return "rgb(255, 255, 255)"; };
  const texts = [...document.querySelectorAll("main *, header *, #status")].filter((one) => [...one.childNodes].some((child) => child.nodeType === 3 && child.data.trim())
    && one.checkVisibility() && !one.classList.contains("skip"));
  const contrasts = texts.map((one) => {
    const [a, b] = [light(getComputedStyle(one).color), light(behind(one))].sort((x, y) => y - x); return (a + 0.05) / (b + 0.05); });
  const targets = [...document.querySelectorAll("main button, main input, main select")].map((one) => one.getBoundingClientRect().height);
  return [document.documentElement.scrollWidth, Math.min(...targets), Math.min(...contrasts)];
}"""
"""How wide the page is, how high its lowest target, and the weakest contrast of its texts (WCAG 2, relative luminance)."""
