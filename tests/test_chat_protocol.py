"""Web chat on the real services: what a visitor says is answered by the flows, through the same bus, lanes and receipts as on any channel."""

import asyncio
from uuid import uuid4

import aiohttp
import pytest

from parley.local import free_port
from tests.chatting import SHOP, customer_token, open_shop, visitor
from tests.conftest import until

pytestmark = pytest.mark.stack


def test_a_message_is_answered_and_marked(settings, tmp_path, run):
    """It becomes `sent`, then `read` with the answer; the answer's marks reach sender as receipts."""

    async def main():
        async with open_shop(settings, tmp_path) as shop, visitor(shop.base) as one:
            await one.connect()
            said = await one.say("hello")
            await one.until(lambda one: one.texts("brand") and one.heard[said]["status"] == "read")
            answer = next(line for line in one.heard.values() if line["from"] == "brand")
            await one.tell(type="marks", status="delivered", up_to=answer["seq"])
            await one.tell(type="marks", status="read", up_to=answer["seq"])
            await one.until(lambda one: one.heard[answer["id"]]["status"] == "read")
            told = await shop.events("parley.deliveries", "parley.delivery.changed", 4)
            return said, answer, [line["status"] for line in told if line["message_id"] == answer["id"]], one

    said, answer, statuses, one = run(main())

    assert ["queued", "sent", "delivered", "read"] == statuses
    assert ["yes", "no"] == [choice["id"] for choice in answer["choices"]]
    assert one.heard[said]["seq"] < answer["seq"]
