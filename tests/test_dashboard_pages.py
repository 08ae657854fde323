"""The dashboards in a real Chromium: every page with figures, with none, in trouble, with ten thousand campaigns; in two languages, by day and by night."""

import contextlib
import os
import re

import pytest
from playwright.async_api import expect

from parley_analytics.pages.words import WORDS, filled
from tests.browser import MISSING, chromium
from tests.conftest import until
from tests.looking import NOW, fill, many, pages, talk

# Where no browser can be had, a laptop says so and goes on; CI does not.
pytestmark = [pytest.mark.stack, pytest.mark.skipif(chromium() is None and "CI" not in os.environ, reason=MISSING)]
PAGES = ("/", "/campaigns", "/campaigns/first-flush", "/experiments", "/experiments/first-flush", "/channels", "/conversations", "/deliverability")
DRAWN = {"/", "/campaigns/first-flush", "/experiments/first-flush", "/channels", "/conversations", "/deliverability"}
"""Pages with a chart."""
BROKEN = re.compile("null|undefined|NaN|None|Infinity")


@contextlib.asynccontextmanager
async def looking(chrome, settings, folder, *filling, signed_in=True, **options):
    """Somebody in front of the pages, what their browser complained of, and the server."""
    async with pages(settings, folder) as shown, chrome.person(**{"locale": "en-GB", **options}) as browser:
        for one in filling:
            await one(shown.pool)
        tab, faults = await browser.new_page(), []
        tab.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: faults.append(str(error)))
        await tab.goto(shown.address("/sign-in"))
        if signed_in:
            await tab.locator("input[name=key]").fill("people")
            await tab.keyboard.press("Enter")
            await expect(tab.locator("header nav")).to_be_visible()
        yield shown, tab, faults


@pytest.mark.parametrize("language, locale", [("en", "en-GB"), ("ko", "ko-KR")])
def test_every_page_has_its_figures(chrome, settings, tmp_path, language, locale):
    """In the language of the browser, with a chart that is drawn, and nothing that a person would not say."""

    async def main():
        async with looking(chrome, settings, tmp_path, fill, talk, locale=locale) as (shown, tab, faults):
            for path in PAGES:
                await tab.goto(shown.address(path))
                await expect(tab.locator("#live .rows, #live .verdict").first).to_be_visible()
                await expect(tab.locator("canvas")).to_have_count(1 if path in DRAWN else 0)
                await expect(tab.locator("body")).not_to_contain_text(BROKEN)
                assert language == await tab.evaluate("document.documentElement.lang")
                if path in DRAWN:
                    assert await tab.evaluate(PAINTED) > 200
                    await expect(tab.locator(".reading")).not_to_be_empty()
            return faults

    assert [] == chrome.run(main())


@pytest.mark.parametrize("language, locale", [("en", "en-GB"), ("ko", "ko-KR")])
def test_a_page_without_figures_says_so(chrome, settings, tmp_path, language, locale):
    """What there is not, and what would help."""
    w = WORDS[language]
    said = {
        **dict.fromkeys(("/", "/campaigns", "/channels", "/deliverability"), w["none_messages"]),
        "/experiments": w["none_experiments"],
        "/conversations": w["none_conversations"],
    }

    async def main():
        async with looking(chrome, settings, tmp_path, locale=locale) as (shown, tab, faults):
            for path, sentence in said.items():
                await tab.goto(shown.address(path))
                await expect(tab.locator("#live .none")).to_contain_text(sentence)
                await expect(tab.locator("body")).not_to_contain_text(BROKEN)
            return faults

    assert [] == chrome.run(main())


@pytest.mark.parametrize("language, locale", [("en", "en-GB"), ("ko", "ko-KR")])
def test_a_page_in_trouble_says_what_to_do(chrome, settings, tmp_path, language, locale):
    """What is not there, what cannot be asked, and what is not to be had now; the last comes back by itself."""
    w = WORDS[language]
    said = {
        "/campaigns/nothing": (404, filled(w["error_campaign"], given="nothing")),
        "/experiments/nothing": (404, filled(w["error_variants"], given="nothing")),
        "/?from=yesterday": (400, filled(w["unusable_day"], given="yesterday")),
        "/channels?metric=luck": (400, filled(w["unusable_choice"], given="luck")),
        "/campaigns?after=here": (400, filled(w["unusable_choice"], given="here")),
        "/experiments/first-flush?points=many": (400, filled(w["unusable_difference"], given="many")),
    }

    async def main():
        async with looking(chrome, settings, tmp_path, fill, locale=locale) as (shown, tab, _):
            for path, (status, sentence) in said.items():
                answer = await tab.goto(shown.address(path))
                await expect(tab.get_by_role("alert")).to_contain_text(sentence)
                assert status == answer.status
            await shown.pool.close()
            answer = await tab.goto(shown.address())
            await expect(tab.get_by_role("alert")).to_contain_text(w["error_later"])
            return answer.status, await tab.locator("meta[http-equiv=refresh]").get_attribute("content")

    assert (503, "5") == chrome.run(main())


def test_ten_thousand_campaigns_are_pages_that_can_be_searched(chrome, settings, tmp_path):
    """Fifty at a time, by any figure, and one is found by a part of its name; what is chosen stands in the address."""

    async def main():
        async with looking(chrome, settings, tmp_path, lambda pool: many(pool, 10_000)) as (_, tab, faults):
            await tab.get_by_role("link", name="Campaigns", exact=True).click()
            rows = tab.locator("tbody tr")
            await expect(rows).to_have_count(50)
            await expect(rows.first).to_contain_text("campaign-09999")
            await tab.get_by_role("link", name="Next").click()
            await expect(rows.first).to_contain_text("campaign-09949")
            await tab.get_by_role("link", name="Sort by Click").click()
            await expect(tab.locator("thead [aria-current]")).to_contain_text("Click")
            await tab.get_by_label("Search by name").fill("Paign-0777")
            await tab.keyboard.press("Enter")
            await expect(rows).to_have_count(10)
            assert {"q=Paign-0777", "order=-click"} <= set(tab.url.partition("?")[2].split("&"))
            await tab.get_by_role("link", name="campaign-07770").click()
            await expect(tab.get_by_role("heading", level=1)).to_have_text("campaign-07770")
            return faults

    assert [] == chrome.run(main())


def test_filters_stand_in_the_address_and_go_along(chrome, settings, tmp_path):
    """A link is what somebody sees: another page keeps time and channel."""

    async def main():
        async with looking(chrome, settings, tmp_path, fill) as (_, tab, faults):
            await tab.get_by_role("link", name="7 days").click()
            await tab.locator(".filters > summary").click()
            await tab.get_by_label("Channel").select_option("email")
            await tab.get_by_role("button", name="Show").click()
            await tab.get_by_role("link", name="Channels", exact=True).click()
            await expect(tab.locator("tbody th[scope=row]").first).to_have_text("E-mail")
            assert {"range=7d", "channel=email"} == set(tab.url.partition("?")[2].split("&"))
            await tab.get_by_role("link", name="Clear filters").click()
            await expect(tab.locator(".rows tbody tr")).to_have_count(4)
            return faults

    assert [] == chrome.run(main())


def test_figures_come_by_themselves_and_disturb_nobody(chrome, settings, tmp_path):
    """What changed is taken over; what was opened stays open, the focus where it was; a server that is away is said, and so is one that is back."""

    async def main():
        async with looking(chrome, settings, tmp_path, fill) as (shown, tab, _):
            await tab.clock.install()
            await tab.goto(shown.address())
            await expect(tab.locator("canvas")).to_have_count(1)
            await tab.locator(".numbers > summary").click()
            before = await tab.locator(".tile .value").first.text_content()
            await shown.pool.execute("UPDATE counters SET sent = sent * 2, delivered = delivered * 2")
            await tab.clock.fast_forward(15_500)
            await expect(tab.locator(".tile .value").first).not_to_have_text(before)
            await expect(tab.locator(".numbers")).to_have_attribute("open", "")
            await expect(tab.locator(".numbers > summary")).to_be_focused()
            await expect(tab.locator("canvas")).to_have_count(1)
            await shown.pool.execute("ALTER TABLE counters RENAME TO away")
            await tab.clock.fast_forward(15_500)
            await expect(tab.locator("#said")).to_contain_text("Not up to date")
            await shown.pool.execute("ALTER TABLE away RENAME TO counters")
            await tab.clock.fast_forward(15_500)
            await expect(tab.locator("#said")).to_be_empty()
            return await tab.locator("#as-of").text_content()

    assert chrome.run(main()).startswith("As of ")


def test_a_chart_is_read_with_the_keyboard(chrome, settings, tmp_path):
    """Point by point, in words; and the first Tab leads past the menu."""

    async def main():
        async with looking(chrome, settings, tmp_path, fill) as (shown, tab, faults):
            await tab.goto(shown.address("/?range=7d"))
            await tab.keyboard.press("Tab")
            await expect(tab.locator(".skip")).to_be_focused()
            await tab.locator(".plot").focus()
            said = []
            for key in ("Home", "ArrowRight", "End"):
                await tab.keyboard.press(key)
                said.append((await tab.locator(".reading").text_content()).partition(":")[0])
            table = await tab.locator(".numbers tbody th").all_text_contents()
            return faults, said, [table[0], table[1], table[-1]]

    faults, said, table = chrome.run(main())

    assert ([], table) == (faults, said)


def test_language_and_colours_are_chosen_and_somebody_leaves(chrome, settings, tmp_path):
    """Both are remembered; signing out ends with the form, and pages ask again."""

    async def main():
        async with looking(chrome, settings, tmp_path, fill) as (shown, tab, faults):
            await tab.goto(shown.address("/channels?range=7d"))
            await tab.get_by_text("Display").click()
            await tab.locator("select[name=lang]").select_option("ko")
            await tab.locator("select[name=theme]").select_option("dark")
            await tab.get_by_role("button", name="Apply").click()
            await expect(tab.get_by_role("heading", level=1)).to_have_text("채널")
            assert tab.url.endswith("/channels?range=7d")
            paper = await tab.evaluate("getComputedStyle(document.body).backgroundColor")
            await tab.get_by_text("표시").click()
            await tab.get_by_role("button", name="로그아웃").click()
            await expect(tab.get_by_label("API 키")).to_be_focused()
            await tab.goto(shown.address("/conversations"))
            await expect(tab.get_by_label("API 키")).to_be_visible()
            return faults, paper

    assert ([], "rgb(19, 21, 24)") == chrome.run(main())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_phone_and_can_be_read(chrome, settings, tmp_path, scheme):
    """Nothing is wider than 390 px, what is pressed is big enough, and texts stand out from what is behind them, by day and by night."""

    async def main():
        async with looking(chrome, settings, tmp_path, fill, talk, color_scheme=scheme, viewport={"width": 390, "height": 844}) as (shown, tab, _):
            found = {"/sign-in": await tab.evaluate(LOOKED_AT)}
            for path in PAGES:
                await tab.goto(shown.address(path))
                await until(lambda: tab.locator("#live > *").count(), "the page")
                found[path] = await tab.evaluate(LOOKED_AT)
            return found

    for path, (width, lowest, contrast) in chrome.run(main()).items():
        assert width <= 390, path
        assert lowest >= 40, path
        assert contrast >= 4.5, path


def test_it_is_a_day_of_the_tenant(chrome, settings, tmp_path):
    """In Seoul it is the 24th already, wherever the browser is."""

    async def main():
        async with looking(chrome, settings, tmp_path, fill, timezone_id="America/Los_Angeles") as (shown, tab, _):
            await tab.goto(shown.address("/?range=7d"))
            await tab.locator(".numbers > summary").click()
            return await tab.locator(".days").text_content(), (await tab.locator(".numbers tbody th").all_text_contents())[-1]

    days, last = chrome.run(main())

    assert "18 – 24 Nov 2026" in days.replace("18 Nov –", "18 –") and "Asia/Seoul" in days
    assert ("24 Nov", 24) == (last, NOW.day)


PAINTED = """() => {
  const canvas = document.querySelector("canvas"), data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let found = 0;
  for (let place = 3; place < data.length; place += 4) found += data[place] > 0;
  return found;
}"""
"""How many points of the chart have any colour."""

LOOKED_AT = """() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = (colour) => numbers(colour).map((one) => one / 255).map((one) => one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
    .reduce((sum, one, place) => sum + one * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = (node) => { for (let one = node; one; one = one.parentElement) { const found = getComputedStyle(one).backgroundColor;
    if (!found.endsWith(", 0)")) return found; } return "rgb(255, 255, 255)"; };
  const texts = [...document.querySelectorAll("main *, header *")].filter((one) => [...one.childNodes].some((child) => child.nodeType === 3 && child.data.trim())
    && one.checkVisibility({ contentVisibilityAuto: true }) && !one.closest("option, .skip, details:not([open]) > :not(summary)"));
  const contrasts = texts.map((one) => {
    const [a, b] = [light(getComputedStyle(one).color), light(behind(one))].sort((x, y) => y - x); return (a + 0.05) / (b + 0.05); });
  const targets = [...document.querySelectorAll("main button, main input:not([type=checkbox]):not([type=hidden]), main select, main .ranges a, header nav a")]
    .filter((one) => !one.closest("details:not([open])")).map((one) => one.getBoundingClientRect().height);
  return [document.documentElement.scrollWidth, Math.min(...targets), Math.min(...contrasts)];
}"""
"""How wide the page is, how high its lowest target, and the weakest contrast of its texts (WCAG 2, relative luminance)."""
