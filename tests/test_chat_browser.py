"""The widget in a real Chromium, on a page of another origin, against the real services."""

import contextlib
import os
import re
from collections.abc import AsyncIterator
from functools import partial
from urllib.parse import quote, urlencode

import pytest
from aiohttp import web
from playwright.async_api import BrowserContext, Locator, Page, expect

from parley.local import free_port
from tests.browser import MISSING, chromium, person, started
from tests.chatting import Shared, customer_token

# Where no browser can be had, a laptop says so and goes on; CI does not.
pytestmark = [pytest.mark.stack, pytest.mark.skipif(chromium() is None and "CI" not in os.environ, reason=MISSING)]

FIELD = {"en": "Your message", "ko": "메시지"}
OPEN = {"en": "Open chat", "ko": "채팅 열기"}


PAGE = """<!doctype html><html><meta name="viewport" content="width=device-width"><title>Tea</title><body><h1>Tea</h1>
<script src="{base}/widget.js" {told} async></script></body></html>"""


@contextlib.asynccontextmanager
async def shop_page(port: int, base: str) -> AsyncIterator[None]:
    """A page of the shop; what its query says becomes the script's attributes: `?lang=`, `?theme=`, `?customer=`, `?cart=`."""

    async def answer(request: web.Request) -> web.Response:
        told = " ".join(f'data-{name}="{value}"' for name, value in request.query.items())
        return web.Response(text=PAGE.format(base=base, told=told), content_type="text/html")

    application = web.Application()
    application.router.add_get("/", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


@pytest.fixture(scope="module")
def chat(stack, tmp_path_factory):
    """A shop whose page stands on an origin of its own, and a browser for its visitors."""
    port = free_port()
    with Shared(stack, tmp_path_factory.mktemp("chat"), f"http://127.0.0.1:{port}") as one:
        one.page = f"http://127.0.0.1:{port}"
        site, browser = shop_page(port, one.shop.base), started()
        one.run(site.__aenter__())
        one.person = partial(person, one.run(browser.__aenter__()))
        yield one
        one.run(browser.__aexit__(None, None, None))
        one.run(site.__aexit__(None, None, None))


async def opened(browser: BrowserContext, page: str, language: str = "en", **told: str) -> Page:
    """A tab with the chat open."""
    tab = await browser.new_page()
    await tab.goto(f"{page}?{urlencode({'lang': language, **told})}")
    await tab.get_by_role("button", name=OPEN[language]).click()
    return tab


async def write(tab: Page, text: str, language: str = "en") -> None:
    await tab.get_by_role("textbox", name=FIELD[language]).fill(text)
    await tab.keyboard.press("Enter")


async def conversation(tab: Page) -> list[str]:
    """What stands in the bubbles, from top to bottom, without the greeting."""
    return await tab.locator("li:not(.greeting) .bubble").all_inner_texts()


async def visitor_of(tab: Page) -> str:
    """Who the browser is, once it knows."""
    await tab.wait_for_function("Object.values(localStorage).some((one) => JSON.parse(one).visitor)")
    return await tab.evaluate("JSON.parse(Object.values(localStorage)[0]).visitor")


def button(tab: Page, name: str) -> Locator:
    return tab.get_by_role("button", name=name, exact=True)


def test_two_tabs_show_one_conversation(chat):
    """What is said in one is in the other, once; an answer tapped in one can be tapped in neither any more."""

    async def main():
        async with chat.person() as browser:
            first = await opened(browser, chat.page)
            await write(first, "hello")
            await expect(button(first, "Yes, please")).to_be_enabled()
            second = await opened(browser, chat.page)
            await button(second, "Yes, please").click()
            for tab in (first, second):
                await expect(button(tab, "Track order")).to_be_enabled()
                await expect(button(tab, "Yes, please")).to_be_disabled()
            return await conversation(first), await conversation(second)

    first, second = chat.run(main())

    assert first == second
    assert ["hello", "Yes, please"] == [text for text in first if text in ("hello", "Yes, please")]


def test_a_reload_in_the_middle_of_an_answer(chat):
    """The page goes the moment the message is sent; back again it shows what was said and the answer, once each."""

    async def main():
        async with chat.person() as browser:
            tab = await opened(browser, chat.page)
            await write(tab, "hello")
            await tab.locator("[data-status=sent], [data-status=read]").first.wait_for()
            await tab.reload()
            await tab.get_by_role("button", name=OPEN["en"]).click()
            await expect(button(tab, "Yes, please")).to_be_enabled()
            await expect(tab.locator("[data-status=read]")).to_have_count(1)
            return await conversation(tab)

    said, answer = chat.run(main())

    assert "hello" == said and answer.startswith("Hello from Acme Tea House")


def test_a_restart_of_the_server(chat):
    """The notice says that the line is lost; what another replica took meanwhile, and what was written meanwhile, is there afterwards, once."""

    async def main():
        shop, port = chat.shop, free_port()
        async with shop.replica(port), chat.person() as browser:
            tab = await opened(browser, chat.page)
            await write(tab, "hello")
            await expect(button(tab, "Yes, please")).to_be_enabled()
            await shop.stop()
            await expect(tab.get_by_text("The connection is lost")).to_be_visible()
            shop.door = shop.base.replace(str(shop.port), str(port))
            await shop.deliver(await visitor_of(tab), "meanwhile")
            await write(tab, "no")
            await expect(tab.locator("[data-status=pending]")).to_have_count(1)
            await shop.start()
            shop.door = None
            await expect(button(tab, "Track order")).to_be_enabled(timeout=40_000)
            await expect(tab.get_by_text("The connection is lost")).to_be_hidden()
            return await conversation(tab)

    texts = chat.run(main())

    assert (1, 1, 1) == tuple(texts.count(one) for one in ("hello", "meanwhile", "no"))
    assert texts.index("meanwhile") < texts.index("no") < len(texts) - 1


def test_offline_waits_and_is_sent(chat):
    """A notice says so; the message waits, survives even a reload, and is sent once."""

    async def main():
        async with chat.person() as browser:
            tab = await opened(browser, chat.page)
            await write(tab, "hello")
            await expect(button(tab, "Yes, please")).to_be_enabled()
            await browser.set_offline(True)
            await expect(tab.get_by_text("You are offline")).to_be_visible()
            await write(tab, "no")
            await expect(tab.locator("[data-status=pending]")).to_have_count(1)
            await browser.set_offline(False)
            await tab.reload()
            await tab.get_by_role("button", name=OPEN["en"]).click()
            await expect(button(tab, "Track order")).to_be_enabled()
            return await conversation(tab)

    assert 1 == chat.run(main()).count("no")


def test_without_sockets_the_chat_goes_on(chat):
    """Where something between lets no WebSocket through, plain requests carry the same."""
    broken = "window.WebSocket = class { constructor() { setTimeout(() => this.onclose()); } close() {} }"

    async def main():
        async with chat.person() as browser:
            await browser.add_init_script(broken)
            tab = await opened(browser, chat.page)
            await write(tab, "hello")
            await button(tab, "Yes, please").click(timeout=30_000)
            await expect(button(tab, "Track order")).to_be_enabled()
            return await conversation(tab)

    assert 1 == chat.run(main()).count("hello")


def test_the_keyboard_alone_suffices(chat):
    """Tab to the button, write, go back to a choice, tap it; Escape closes and gives the focus back."""

    async def main():
        async with chat.person() as browser:
            tab = await browser.new_page()
            await tab.goto(f"{chat.page}?lang=en")
            await tab.locator("#parley-chat").wait_for(state="attached")
            await tab.keyboard.press("Tab")
            await tab.keyboard.press("Enter")
            await expect(tab.get_by_role("textbox", name=FIELD["en"])).to_be_focused()
            await tab.keyboard.type("hello")
            await tab.keyboard.press("Enter")
            await expect(button(tab, "No, thanks")).to_be_enabled()
            await tab.keyboard.press("Shift+Tab")
            await expect(button(tab, "No, thanks")).to_be_focused()
            await tab.keyboard.press("Enter")
            await expect(button(tab, "Track order")).to_be_enabled()
            await expect(tab.get_by_role("textbox", name=FIELD["en"])).to_be_focused()
            await tab.keyboard.press("Escape")
            await expect(tab.get_by_role("dialog")).to_be_hidden()
            await expect(tab.get_by_role("button", name=OPEN["en"])).to_be_focused()

    chat.run(main())


def test_what_a_screen_reader_hears(chat):
    """The panel, the log and its parts have roles and names; who speaks and what became of it is said."""

    async def main():
        async with chat.person() as browser:
            tab = await opened(browser, chat.page)
            await write(tab, "hello")
            await expect(tab.get_by_role("group", name="Answers to choose from")).to_be_visible()
            await expect(tab.get_by_role("dialog", name="Chat with us")).to_be_visible()
            log = tab.get_by_role("log", name="Messages")
            await expect(log).to_have_attribute("aria-live", "polite")
            await expect(tab.locator("li.visitor")).to_contain_text("You: ")
            await expect(tab.locator("li.visitor .mark")).to_contain_text("Read")
            return await tab.locator("img:not([alt]), button:not([aria-label]):empty").count()

    assert 0 == chat.run(main())


def test_it_speaks_korean(chat):
    """Labels and answers; while a syllable is being put together, Enter sends nothing."""
    composing = "new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true, cancelable: true })"

    async def main():
        async with chat.person() as browser:
            tab = await opened(browser, chat.page, "ko")
            field = tab.get_by_role("textbox", name=FIELD["ko"])
            await field.fill("안녕하세요")
            await field.evaluate(f"(field) => field.dispatchEvent({composing})")
            before = await conversation(tab)
            await tab.keyboard.press("Enter")
            await expect(button(tab, "네 좋아요")).to_be_enabled()
            await expect(tab.locator("li.visitor .mark")).to_contain_text("읽음")
            return before, await tab.locator("#parley-chat").get_attribute("lang")

    assert ([], "ko") == chat.run(main())


@pytest.mark.parametrize("scheme, told, dark", [("light", "", False), ("dark", "", True), ("dark", "light", False), ("light", "dark", True)])
def test_dark_and_light(chat, scheme, told, dark):
    """As the system is, unless the page says otherwise; the text stays readable."""
    ask = "(log) => [getComputedStyle(log.closest('.panel')).backgroundColor, getComputedStyle(log).color]"

    async def main():
        async with chat.person(color_scheme=scheme) as browser:
            tab = await opened(browser, chat.page, **({"theme": told} if told else {}))
            return await tab.get_by_role("log").evaluate(ask)

    ground, ink = (luminance(one) for one in chat.run(main()))

    assert dark == (ground < ink)
    assert 7 < (max(ground, ink) + 0.05) / (min(ground, ink) + 0.05)


def luminance(color: str) -> float:
    """Of `rgb(r, g, b)`, as WCAG 2 defines it."""
    parts = [int(one) / 255 for one in re.findall(r"\d+", color)[:3]]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_text_is_a_text(chat):
    """Nothing in a message becomes HTML; only addresses of the web become links, which tell the other side nothing."""
    text = "<img src=x onerror=alert(1)> javascript:alert(1) see https://shop.example/tea?a=1&b=2. and HTTP://SHOP.example/x"

    async def main():
        async with chat.person() as browser:
            tab = await opened(browser, chat.page)
            await write(tab, "hello")
            await expect(button(tab, "Yes, please")).to_be_enabled()
            media = [{"kind": "image", "url": "javascript:alert(1)"}, {"kind": "document", "url": "https://shop.example/invoice.pdf"}]
            await chat.shop.deliver(await visitor_of(tab), text, media=media)
            bubble = tab.locator("li.brand .bubble", has_text="onerror")
            await bubble.wait_for()
            plain = await bubble.evaluate("(one) => { one.querySelectorAll('.unseen').forEach((more) => more.remove()); return one.textContent; }")
            links = await tab.locator("li.brand a").evaluate_all("(all) => all.map((one) => [one.href, one.rel, one.target])")
            return plain, links, await tab.locator("li img").count()

    plain, links, pictures = chat.run(main())
    told = ["noopener noreferrer nofollow", "_blank"]

    assert (text, 0) == (plain, pictures)
    assert [
        ["https://shop.example/invoice.pdf", *told], ["https://shop.example/tea?a=1&b=2", *told], ["http://shop.example/x", *told],
    ] == links  # fmt: skip


def test_what_is_unread_is_counted(chat):
    """On the button while the panel is closed, after a reload too; nothing is left once it was seen."""

    async def main():
        async with chat.person() as browser:
            tab = await opened(browser, chat.page)
            await write(tab, "hello")
            await expect(button(tab, "Yes, please")).to_be_enabled()
            await tab.keyboard.press("Escape")
            await chat.shop.deliver(await visitor_of(tab), "one more thing")
            await expect(tab.get_by_role("button", name="Open chat, 1 new message")).to_be_visible()
            await tab.reload()
            await tab.get_by_role("button", name="Open chat, 1 new message").click()
            await expect(tab.get_by_text("one more thing")).to_be_visible()
            await tab.keyboard.press("Escape")
            await expect(tab.get_by_role("button", name="Open chat", exact=True)).to_be_visible()
            await chat.shop.signed("typing", {"to": await visitor_of(tab)})
            await expect(tab.get_by_label("Somebody is writing")).to_be_attached()

    chat.run(main())


def test_a_phone_shows_it_whole(chat):
    """At 390 pixels the panel is the screen, and nothing stands out of it."""

    async def main():
        async with chat.person(viewport={"width": 390, "height": 844}) as browser:
            tab = await opened(browser, chat.page)
            await write(tab, f"{'long' * 60} https://shop.example/{'x' * 200}")
            await tab.locator("[data-status=sent], [data-status=read]").first.wait_for()
            log = await tab.get_by_role("log").evaluate("(log) => log.scrollWidth <= log.clientWidth")
            return await tab.get_by_role("dialog").bounding_box(), log

    assert ({"x": 0, "y": 0, "width": 390, "height": 844}, True) == chat.run(main())


def test_the_page_says_who_and_where(chat):
    """The customer's signed token and the cart, from the script's attributes, reach the bus with the message."""

    async def main():
        async with chat.person() as browser:
            tab = await opened(browser, chat.page, cart="c-42", customer=customer_token("c-2002"))
            await write(tab, "hello")
            await expect(button(tab, "Yes, please")).to_be_enabled()
            name = await visitor_of(tab)
            events = await chat.shop.topic("parley.inbound", "parley.customer.event")
            return [one for one in events if name in one["addresses"].values()]

    found = {one["name"]: one for one in chat.run(main())}

    assert "c-2002" == found["customer.identified"]["customer"]["id"]
    assert ("c-42", "Tea", "en") == tuple(found["webchat.context"]["properties"][name] for name in ("cart", "title", "language"))


def test_a_click_to_chat_link_opens_the_chat_with_its_words(chat):
    """They stand in the field until the visitor sends them; the page's address is clean again; text that begins as markup stays text."""

    async def main():
        async with chat.person() as browser:
            tab = await browser.new_page()
            await tab.goto(f"{chat.page}?lang=en#parley-chat={quote('<b>hello</b> [#spring-26]')}")
            field = tab.get_by_role("textbox", name=FIELD["en"])
            await expect(field).to_have_value("<b>hello</b> [#spring-26]")
            said, address = await conversation(tab), tab.url
            await tab.keyboard.press("Enter")
            await expect(tab.locator("li:not(.greeting) .bubble").first).to_have_text("<b>hello</b> [#spring-26]")
            (event,) = await chat.shop.events("parley.inbound", "parley.message.received", 1, reference="spring-26")
            return said, address, event["text"]

    said, address, text = chat.run(main())

    assert ([], f"{chat.page}/?lang=en", "<b>hello</b>") == (said, address, text)
