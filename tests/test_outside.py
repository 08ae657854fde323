"""Fetching from addresses that others name: what is not public is never asked, the address that was looked at is the one connected to, and limits hold."""

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from parley import media
from parley.channels import meta
from parley.channels.shape import Account, Response
from parley.contracts import Channel, Media
from parley.outside import Bounds, Refused, fetch
from parley.ranges import REFUSED, REFUSED_6, refused
from tests.ingesting import OTHER_KEY, Shared

# --- which addresses are public ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address, reason",
    [
        ("0.0.0.0", "this network"), ("10.0.0.1", "private"), ("10.255.255.255", "private"), ("100.64.0.1", "carrier-grade NAT"),
        ("100.127.255.255", "carrier-grade NAT"), ("127.0.0.1", "loopback"), ("127.255.0.1", "loopback"), ("169.254.169.254", "link-local"),
        ("172.16.0.1", "private"), ("172.31.255.255", "private"), ("192.0.0.8", "protocol assignments"), ("192.0.2.1", "documentation"),
        ("192.88.99.1", "6to4 relays"), ("192.168.1.1", "private"), ("198.18.0.1", "benchmarks"), ("198.19.255.255", "benchmarks"),
        ("198.51.100.1", "documentation"), ("203.0.113.1", "documentation"), ("224.0.0.1", "multicast"), ("239.255.255.250", "multicast"),
        ("240.0.0.1", "reserved"), ("255.255.255.255", "reserved"),
        ("::", "not public"), ("::1", "loopback"), ("::127.0.0.1", "not public"), ("::ffff:127.0.0.1", "in disguise"), ("::ffff:8.8.8.8", "in disguise"),
        ("64:ff9b::10.0.0.1", "private"), ("64:ff9b::169.254.169.254", "link-local"), ("64:ff9b:1::8.8.8.8", "not public"), ("100::1", "not public"),
        ("2001::1", "Teredo"), ("2001:10::1", "protocol assignments"), ("2001:20::1", "protocol assignments"), ("2001:db8::1", "documentation"),
        ("2002:7f00:1::", "6to4"), ("2002:808:808::", "6to4"), ("3fff::1", "documentation"), ("5f00::1", "not public"), ("fc00::1", "not public"),
        ("fd12:3456::1", "not public"), ("fe80::1", "link-local"), ("fe80::1%eth0", "one link"), ("2606:4700::1%eth0", "one link"), ("fec0::1", "not public"),
        ("ff02::1", "multicast"), ("ff0e::1", "multicast"), ("", "no address"), ("example.com", "no address"), ("127.1", "no address"),
        ("0x7f.0.0.1", "no address"), ("010.0.0.1", "no address"),
    ],
)  # fmt: skip
def test_what_is_within_is_refused_with_its_reason(address, reason):
    """Every range of the registries, at both ends where it matters, and every way to hide an address of IPv4 in one of IPv6."""
    assert reason in (refused(address) or "public")


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "172.15.255.255", "172.32.0.0",
     "192.0.1.0", "192.167.255.255", "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700:4700::1111", "2a00:1450:4001::1", "2001:200::1",
     "64:ff9b::8.8.8.8"],
)  # fmt: skip
def test_their_neighbours_are_public(address):
    assert None is refused(address)


@given(st.ip_addresses())
def test_nothing_that_python_knows_as_private_is_public(address):
    """Property: the table is at least as strict as the standard library, but for IPv4 behind NAT64, which is judged by itself."""
    plain = (
        address if address.version == 4 or address not in ipaddress.IPv6Network("64:ff9b::/96") else ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    )

    assert refused(str(address)) is not None or plain.is_global


@given(st.sampled_from([*REFUSED, *REFUSED_6]), st.data())
def test_every_address_of_a_range_is_refused(network, data):
    place = data.draw(st.integers(0, network.num_addresses - 1))

    assert refused(str(network[place])) is not None


# --- what is asked at all -----------------------------------------------------------------------------------------------------------------


def resolving(*addresses: str) -> Callable[[str, int], Awaitable[list[str]]]:
    """A resolver that knows one answer, and counts."""

    async def lookup(host: str, port: int) -> list[str]:
        lookup.asked.append((host, port))
        return list(addresses)

    lookup.asked = []
    return lookup


@pytest.mark.parametrize(
    "url, why",
    [
        ("http://example.com/", "only https"), ("ftp://example.com/", "only https"), ("file:///etc/passwd", "no address"), ("https://example.com:8443/", "own port"),
        ("https://example.com:22/", "own port"), ("https://user@example.com/", "name or a password"), ("https://a:b@example.com/", "name or a password"),
        ("https://example.com\\@127.0.0.1/", "name or a password|no address|no public"), ("https:///x", "no address|only https"), ("//example.com/", "no address|only"),
        ("https://[::1/", "no address"), ("https://example.com:99999/", "no address"), ("javascript:alert(1)", "no address|only"), ("", "no address|only"),
    ],
)  # fmt: skip
def test_only_https_on_its_own_port_is_asked(run, url, why):
    with pytest.raises(Refused, match=why):
        run(fetch(url, Bounds(), addresses=resolving("127.0.0.1")))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]", "localhost."]
)
def test_no_way_of_writing_it_reaches_this_machine(run, host):
    """By the system's own resolver: it reads numbers in ways that few expect."""
    with pytest.raises((Refused, OSError), match=r"no public address|No address|not known|no address|gaierror|Name or service"):
        run(fetch(f"https://{host}/", Bounds()))


@pytest.mark.parametrize("addresses", [("10.0.0.1",), ("8.8.8.8", "10.0.0.1"), ("2606:4700::1", "::1"), ()])
def test_one_address_within_is_reason_enough(run, addresses):
    """A name with a public and a private address is asked at neither."""
    with pytest.raises(Refused):
        run(fetch("https://example.com/", Bounds(), addresses=resolving(*addresses)))


# --- what comes back: a real server, with a certificate of its own ---------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def serving(answer: Callable[[web.Request], Awaitable[web.StreamResponse]], tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield site._server.sockets[0].getsockname()[1]
    finally:
        await runner.cleanup()


def trusting(port: int, **more: Any) -> Bounds:
    """Bounds under which the test's own server may be asked."""
    return Bounds(trusted=frozenset({f"http://127.0.0.1:{port}"}), **more)


async def got(answer: Callable[[web.Request], Awaitable[web.StreamResponse]], **bounds: Any) -> Response:
    async with serving(answer) as port:
        return await fetch(f"http://127.0.0.1:{port}/file", trusting(port, **bounds))


def saying(body: bytes = b"hello", status: int = 200, **headers: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


async def endless(request: web.Request) -> web.StreamResponse:
    """Says neither how long it is nor when it ends."""
    stream = web.StreamResponse(headers={"content-type": "image/png"})
    await stream.prepare(request)
    with contextlib.suppress(ConnectionError):
        while True:
            await stream.write(b"x" * 4096)
    return stream


async def silent(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("never")


def test_what_is_there_comes_with_its_headers(run):
    found = run(got(saying(content_type="image/png")))

    assert (200, b"hello", "image/png") == (found.status, found.body, found.headers["content-type"])


@pytest.mark.parametrize(
    "answer, bounds, why",
    [
        (saying(b"x" * 101), {"limit": 100}, "more than 100 bytes"),
        (endless, {"limit": 10_000}, "more than 10000 bytes"),
        (saying(content_type="text/html"), {"types": ("image/",)}, "content type 'text/html'"),
        (saying(), {"types": ("image/",)}, "content type"),
        (saying(content_encoding="gzip"), {}, "compressed"),
    ],
)
def test_what_is_too_large_or_of_another_kind_is_refused(run, answer, bounds, why):
    """Also where the server does not say how large it is; nothing is unpacked, so nothing small becomes large."""
    with pytest.raises(Refused, match=why):
        run(got(answer, **bounds))


def test_a_redirect_is_not_followed(run):
    """It is an answer like any other: whoever asked may look at it, and asks anew under the same guard."""
    found = run(got(saying(status=302, location="http://127.0.0.1:1/")))

    assert (302, "http://127.0.0.1:1/") == (found.status, found.headers["location"])


def test_who_does_not_answer_is_given_up(run):
    with pytest.raises(OSError, match=r"no answer within 0.2 s"):
        run(got(silent, within=0.2))


def test_a_slow_resolver_counts_too(run):
    async def never(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        raise AssertionError("never")

    with pytest.raises(OSError, match="no answer within"):
        run(fetch("https://example.com/", Bounds(within=0.1), addresses=never))


@pytest.fixture
def certificate(tmp_path) -> Iterator[tuple[ssl.SSLContext, str]]:
    """A server's certificate for media.example, and the file by which it is trusted."""
    key, name, now = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "media.example")]),
        datetime.now(UTC),
    )
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("media.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    )  # fmt: skip
    (tmp_path / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    (tmp_path / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context, str(tmp_path / "cert.pem")


def test_the_connection_goes_to_the_address_that_was_looked_at(run, certificate, monkeypatch):
    """A name that means something else a moment later (DNS rebinding) changes nothing: it is asked for once. Certificate and Host are the name's."""
    context, file = certificate
    monkeypatch.setenv("SSL_CERT_FILE", file)
    lookup = resolving("127.0.0.1")

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(text=f"{request.host} {request.transport.get_extra_info('sockname')[0]}")

    async def main():
        async with serving(answer, context) as port:
            bounds = Bounds(trusted=frozenset({f"https://media.example:{port}"}))  # trusted, for no test has a public address
            return await fetch(f"https://media.example:{port}/", bounds, addresses=lookup), port

    # The client's context is made once, when aiohttp is imported: a fresh one reads the variable above.
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", ssl.create_default_context())
    found, port = run(main())

    assert (f"media.example:{port} 127.0.0.1".encode(), [("media.example", port)]) == (found.body, lookup.asked)


def test_a_certificate_of_somebody_else_is_none(run, certificate):
    context, _ = certificate

    async def main():
        async with serving(saying(), context) as port:
            url = f"https://media.example:{port}"
            return await fetch(f"{url}/", Bounds(trusted=frozenset({url})), addresses=resolving("127.0.0.1"))

    with pytest.raises(OSError, match="Certificate"):
        run(main())


# --- files of customers -----------------------------------------------------------------------------------------------------------------------

SECRETS = dict.fromkeys(("access_token", "app_secret", "bot_token", "secret_token", "channel_access_token", "account_sid", "auth_token"), ("t0ken",))


def account(provider: str, channel: Channel, base: str | None = None) -> Account:
    return Account("a", "acme", provider, channel, "s", SECRETS, base_url=base)


class Provider:
    """A server that plays the files of the providers: what is asked, with which credentials, and what it answers by path."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.base = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path_qs
        self.asked.append((path, request.headers.get("authorization", "")))
        if path == "/v25.0/m1":
            return web.json_response({"url": f"{self.base}/stored?asset=1"})
        if path.endswith("getFile?file_id=f1"):
            return web.json_response({"ok": True, "result": {"file_path": "photos/file_1.jpg"}})
        if path.startswith("/2010-04-01/"):
            return web.Response(status=307, headers={"location": f"{self.base}/stored"})
        if path.startswith("/gone"):
            return web.Response(status=404)
        if path.startswith("/page"):
            return web.Response(text="<script>", content_type="text/html")
        return web.Response(body=b"\xff\xd8", content_type="image/jpeg")


def fetched(run: Any, provider: str, channel: Channel, **wanted: str) -> tuple[Response, list[tuple[str, str]]]:
    there = Provider()

    async def main():
        async with serving(there.answer) as port:
            there.base = f"http://127.0.0.1:{port}"
            told = {name: value.replace("BASE", there.base) for name, value in wanted.items()}
            return await media.fetch(Media(kind="image", **told), account(provider, channel, there.base))

    return run(main()), there.asked


@pytest.mark.parametrize(
    "provider, channel, wanted, asked",
    [
        ("meta", Channel.WHATSAPP, {"provider_id": "m1"}, [("/v25.0/m1", "Bearer t0ken"), ("/stored?asset=1", "Bearer t0ken")]),
        ("meta", Channel.MESSENGER, {"url": "BASE/picture"}, [("/picture", "")]),
        ("telegram", Channel.TELEGRAM, {"provider_id": "f1"}, [("/bott0ken/getFile?file_id=f1", ""), ("/file/bott0ken/photos/file_1.jpg", "")]),
        ("line", Channel.LINE, {"provider_id": "7"}, [("/v2/bot/message/7/content", "Bearer t0ken")]),
        ("twilio", Channel.SMS, {"url": "BASE/2010-04-01/m"}, [("/2010-04-01/m", "Basic dDBrZW46dDBrZW4="), ("/stored", "")]),
        ("plain", Channel.INAPP, {"url": "BASE/picture"}, [("/picture", "")]),
    ],
)
def test_a_file_is_fetched_as_its_provider_wants(run, provider, channel, wanted, asked):
    """Step by step, with our credentials where they belong and nowhere else."""
    found, told = fetched(run, provider, channel, **wanted)

    assert (asked, b"\xff\xd8", "image/jpeg") == (told, found.body, found.headers["content-type"])


@pytest.mark.parametrize(
    "provider, channel, wanted, error, why",
    [
        ("plain", Channel.INAPP, {"url": "https://127.0.0.1/latest/meta-data"}, Refused, "no public address"),
        ("twilio", Channel.SMS, {"url": "https://169.254.169.254/"}, Refused, "link-local"),
        ("plain", Channel.INAPP, {"provider_id": "x"}, Refused, "no files by their id"),
        ("plain", Channel.INAPP, {"url": "BASE/page"}, Refused, "text/html"),
        ("plain", Channel.INAPP, {"url": "BASE/gone"}, FileNotFoundError, "does not have the file"),
    ],
)
def test_a_file_that_is_none_is_refused(run, provider, channel, wanted, error, why):
    with pytest.raises(error, match=why):
        fetched(run, provider, channel, **wanted)


@pytest.mark.parametrize(
    "url", ["https://evil.example/x", "https://lookaside.fbsbx.com.evil.example/x", "http://lookaside.fbsbx.com/x", "https://evilfbsbx.com/x"]
)
def test_metas_token_goes_to_meta_alone(url):
    """Whatever the answer names."""
    answer = Response(200, {"content-type": "application/json"}, orjson.dumps({"url": url}))

    with pytest.raises(ValueError, match="none of its own"):
        meta.media_next(answer, account("meta", Channel.WHATSAPP))


@given(st.binary(max_size=60), st.sampled_from(["application/json", "image/png", ""]))
def test_any_answer_about_a_file_is_read(body, kind):
    """Property: bytes that a provider may say make a next request, none, or a sentence."""
    for provider, channel in (("meta", Channel.WHATSAPP), ("telegram", Channel.TELEGRAM), ("line", Channel.LINE), ("twilio", Channel.SMS)):
        with contextlib.suppress(ValueError):
            media.PROVIDERS[provider].media_next(Response(200, {"content-type": kind}, body), account(provider, channel))


# --- the route --------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared(stack, tmp_path_factory) -> Iterator[Shared]:
    with Shared(stack, tmp_path_factory.mktemp("media")) as one:
        yield one


@pytest.mark.stack
@pytest.mark.parametrize(
    "path, key, status",
    [
        ("app?url=https://127.0.0.1/x", OTHER_KEY, 422), ("app?url=https://10.0.0.1/x", OTHER_KEY, 422), ("app?id=1", OTHER_KEY, 422), ("app", OTHER_KEY, 422),
        ("app?id=1&url=x", OTHER_KEY, 422), ("app?id=1&id=2", OTHER_KEY, 422), ("app?url=http://example.com/", OTHER_KEY, 422), ("else?id=1", OTHER_KEY, 404),
        ("app?id=1", None, 401), ("app?id=1", "shop-key", 403),
    ],
)  # fmt: skip
def test_who_may_see_files_and_what_is_never_fetched(shared, path, key, status):
    """Whose account it is; an address within is 422 and nobody learns what is there."""
    headers = {"authorization": f"Bearer {key}"} if key else {}

    assert status == shared.run(shared.ingest.ask("GET", f"/v1/media/{path}", headers=headers))[0]


@pytest.mark.stack
def test_a_file_is_given_so_that_a_browser_runs_nothing_of_it(shared):
    """Saved, never shown; of the type that it was stored as."""
    there = Provider()

    async def main():
        async with serving(there.answer) as port:
            config = shared.ingest.one.context.config
            known = config.accounts["app"]
            config.accounts["app"] = Account(**{name: getattr(known, name) for name in known.__slots__} | {"base_url": f"http://127.0.0.1:{port}"})
            try:
                headers = {"authorization": f"Bearer {OTHER_KEY}"}
                return await shared.ingest.ask("GET", f"/v1/media/app?url=http://127.0.0.1:{port}/picture", headers=headers)
            finally:
                config.accounts["app"] = known

    status, body, headers = shared.run(main())

    assert (200, b"\xff\xd8", "image/jpeg") == (status, body, headers["content-type"])
    assert ("attachment", "nosniff") == (headers["content-disposition"], headers["x-content-type-options"])
