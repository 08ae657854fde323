"""What the normaliser makes of messages that belong to a chat: whose repeat is one, and who answers. Values alone."""

import base64
from uuid import UUID

import orjson

from parley.channels.shape import Account
from parley.config import Config
from parley.contracts import Channel, ConsentChanged, Envelope, MessageReceived, RawReceived
from parley.cursor import Place
from parley.step import Arrived
from parley_ingest.normalise import Found, Normalise, meaning
from tests.test_channels import NOW

BOT = Account("bot", "t", "telegram", Channel.TELEGRAM, "@b")
LINE = Account("line", "t", "line", Channel.LINE, "U0")


def read(account: Account, body: object) -> list[Found]:
    raw = RawReceived(account=account.name, body=base64.b64encode(orjson.dumps(body)).decode(), received_at=NOW)
    event = Envelope(id="e", source="s", time=NOW, tenant="t", data=raw)
    stage = Normalise(Config(tenants={}, accounts={one.name: one for one in (BOT, LINE)}))
    return list(stage.read(Arrived(event, Place("parley.raw", 0), 0, None)))


def telegram(chat: int) -> list[Found]:
    return read(BOT, {"update_id": 7, "message": {"message_id": 41, "from": {"id": 5}, "chat": {"id": chat}, "text": "hi"}})


def line(mode: str, text: str) -> list[Found]:
    message = {"type": "message", "mode": mode, "source": {"userId": "U1"}, "message": {"id": "1", "type": "text", "text": text}}
    return read(LINE, {"events": [message]})


def test_the_same_number_in_two_chats_is_two_messages():
    """Telegram counts the messages of each chat on its own."""
    ids = [one.id for chat in (5, -100, 5) for one in telegram(chat)]

    assert ids[0] == ids[2] != ids[1]


def test_in_standby_nobody_answers_and_a_stop_counts():
    """Whoever holds the conversation answers; consent is never a matter of who does."""
    made = [
        [type(data) for one in line(mode, text) for data in meaning(one, UUID(int=1), {})] for mode, text in (("active", "hi"), ("standby", "hi"))
    ]
    stopped = [type(data) for one in line("standby", "STOP") for data in meaning(one, UUID(int=1), {})]

    assert [[MessageReceived], []] == made and {ConsentChanged} == set(stopped)
