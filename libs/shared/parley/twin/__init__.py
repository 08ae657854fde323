"""The provider twin: an HTTP server that plays Twilio, WhatsApp and the plain provider, and keeps a ledger of its own.

A witness: it shares no code with the channels, so that a mistake there is not made here a second time. Its page: docs/twin.md.
"""

from parley.twin.behaviour import Behaviour
from parley.twin.control import read_accounts
from parley.twin.ledger import Heard, Receipt, Request, Said
from parley.twin.server import running_twin, serve
from parley.twin.shape import Account, Option, Say, TwinError
from parley.twin.twin import Twin, TwinOptions

__all__ = [
    "Account", "Behaviour", "Heard", "Option", "Receipt", "Request", "Said", "Say", "Twin", "TwinError", "TwinOptions", "read_accounts",
    "running_twin", "serve",
]  # fmt: skip
