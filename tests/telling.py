"""A sender that people look into, for tests: the desk of the lanes with keys for stories, lanes, lists and decisions."""

from typing import Any, NamedTuple

import aiohttp
import orjson
import yaml

from tests.test_sender_lanes import Desk

SCOPES = ["messages:read", "messages:settle", "lanes:write", "suppressions:read", "suppressions:write"]


class Answer(NamedTuple):
    status: int
    body: Any


class Open(Desk):
    """A desk whose keys may do more: `people` what a tenant's people may, `root` also what holds for everybody, `staff` and `spy` read alone."""

    policies: dict[str, Any] | None = None

    def _configure(self, twin: Any) -> None:
        super()._configure(twin)
        path = self.folder / "accounts.yaml"
        file = yaml.safe_load(path.read_text())
        for name, scopes in (("people", SCOPES), ("root", [*SCOPES, "suppressions:global"])):
            self.monkeypatch.setenv(f"{name.upper()}_KEY", name)
            file["keys"][name] = {"tenant": "acme", "scopes": scopes, "token": f"env:{name.upper()}_KEY"}
        path.write_text(yaml.safe_dump(file))
        if self.policies is not None:
            (self.folder / "policies.yaml").write_text(yaml.safe_dump(self.policies))

    async def call(self, method: str, path: str, body: Any = None, key: str = "people") -> Answer:
        """Asks the API."""
        data = body if isinstance(body, bytes) or body is None else orjson.dumps(body)
        headers = {"authorization": f"Bearer {key}"}
        async with aiohttp.request(method, f"http://127.0.0.1:{self.one.port}/v1{path}", data=data, headers=headers) as answer:
            raw = await answer.read()
            return Answer(answer.status, orjson.loads(raw) if raw else None)

    async def story(self, number: object, language: str = "en") -> dict[str, Any]:
        return (await self.call("GET", f"/messages/{number}?language={language}")).body


def kinds(story: dict[str, Any]) -> list[str]:
    """What happened, in order."""
    return [one["what"] for one in story["story"]]
