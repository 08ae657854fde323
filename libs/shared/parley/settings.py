"""The settings of every service: environment variables `PARLEY_*`, each with its meaning. Read once, by `main`, never at import."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PORTS = {"ingest": 8001, "router": 8002, "sender": 8003, "analytics": 8004}


class SettingsError(ValueError):
    """A setting that cannot be used: which, and why."""


class Settings(BaseSettings):
    """Settings shared by all services; a service's own stand behind its name."""

    model_config = SettingsConfigDict(env_prefix="PARLEY_", frozen=True, extra="ignore")

    kafka: str = Field(default="", description="Bootstrap servers, `host:port,host:port`. Empty: local.")
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT",
        description="Protocol to brokers. With TLS their certificates must be ones that the machine trusts, or stand in the file that SSL_CERT_FILE names.",
    )
    kafka_sasl: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(default="SCRAM-SHA-512", description="SASL mechanism.")
    kafka_user: str = Field(default="", description="SASL user.")
    kafka_password: SecretStr = Field(default=SecretStr(""), description="SASL password.")
    database: SecretStr = Field(default=SecretStr(""), description="PostgreSQL, `postgresql://user:password@host/name`. Empty: local.")
    config: Path = Field(default=Path("config"), description="Directory with accounts.yaml and flows/.")
    secret: SecretStr = Field(
        default=SecretStr(""), description="Key for codes of links, and for hashes by which the erased are known; the same everywhere."
    )
    prefix: str = Field(default="", description="Put before every topic and group: several Parleys on one Kafka.")
    partitions: int = Field(default=6, ge=1, le=1000, description="Partitions of a topic that Parley creates.")
    replication: int = Field(default=1, ge=1, le=9, description="Replicas of a topic that Parley creates.")
    host: str = Field(default="127.0.0.1", description="Address the HTTP server listens on; 0.0.0.0 in a container.")
    port: int = Field(default=0, ge=0, le=65535, description="Port of the HTTP server; 0: the service's own (8001 to 8004).")
    links: str = Field(default="http://127.0.0.1:8001", description="Public base address of ingest, on which tracked links stand.")
    batch: int = Field(default=500, ge=1, le=10_000, description="Records of one step at most.")
    batch_bytes: int = Field(default=4_000_000, ge=10_000, description="Bytes of one step at most.")
    body_limit: int = Field(default=1_048_576, ge=1024, description="Bytes of a request's body at most; 413 above.")
    spool: Path = Field(
        default=Path(".parley/spool"), description="Folder in which each ingest keeps what comes while Kafka is away, under its prefix and port."
    )
    spool_bytes: int = Field(default=1_073_741_824, ge=0, description="Bytes that the spool of an ingest may hold; 503 above. 0: no spool.")
    account_requests: float = Field(
        default=10_000.0, gt=0, description="Webhooks a second of an account (`requests` in accounts.yaml goes before), events of a key; 429 above."
    )
    address_requests: float = Field(default=5_000.0, gt=0, description="Requests a second from one client address to webhooks and events; 429 above.")
    understanding: Literal["on", "off"] = Field(
        default="on", description="Whether the router reads messages for their meaning, where faq/ has examples; off: keywords and choices only."
    )
    embeddings_url: str = Field(
        default="", description="OpenAI-compatible endpoint up to and without /embeddings that encodes sentences instead of the built-in encoder."
    )
    embeddings_model: str = Field(default="", description="Name of its model.")
    embeddings_key: SecretStr = Field(default=SecretStr(""), description="Its key.")
    model_url: str = Field(
        default="",
        description="OpenAI-compatible endpoint up to and without /chat/completions that `answer` steps ask, with the FAQ as the only ground; empty: off.",
    )
    model: str = Field(default="", description="Name of its model.")
    model_key: SecretStr = Field(default=SecretStr(""), description="Its key.")
    dead_streak: int = Field(default=100, ge=1, description="Dead letters in a row after which a stage stops.")
    dead_ratio: float = Field(default=0.5, gt=0, le=1, description="Share of dead letters among the last 1,000 events at which a stage stops.")
    call_timeout: float = Field(default=20.0, gt=0, description="Seconds after which a call to a provider without an answer is given up as unknown.")
    webhooks_local: Literal["on", "off"] = Field(
        default="off",
        description="Whether tenants' webhooks may stand on this machine, over http, for trying them out; never where tenants are others.",
    )
    packs: Literal["on", "off"] = Field(
        default="on",
        description="Whether the sender keeps the law of recipients' countries; off only where nobody receives what is sent: demos, load tests.",
    )
    stories: int = Field(
        default=400,
        ge=1,
        description="Days for which the sender keeps a message's story, its attempts and notes; what became of it is kept for good.",
    )
    drain: float = Field(default=20.0, gt=0, description="Seconds that a stop or a revoke waits for the running step.")
    stuck: float = Field(default=60.0, gt=0, description="Seconds without progress, while there is lag, after which /readyz fails.")
    log: Literal["json", "console", "auto"] = Field(default="auto", description="Form of the log; auto: console on a terminal.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level that is logged.")


def read(**given: object) -> Settings:
    """The settings from the environment, `given` first. Raises `SettingsError` naming the variable."""
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        found = [f"PARLEY_{'_'.join(str(part) for part in item['loc']).upper()}: {item['msg']}" for item in problems]
        raise SettingsError("; ".join(found)) from error
