"""How to connect to Kafka, by the settings: as aiokafka wants it told, and as FastStream does."""

from __future__ import annotations

import ssl

from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from parley.settings import Settings


def options(settings: Settings) -> dict[str, object]:
    """Connection options of every client of aiokafka's."""
    found: dict[str, object] = {"bootstrap_servers": settings.kafka, "security_protocol": settings.kafka_security, "ssl_context": _tls(settings)}
    if settings.kafka_security.startswith("SASL"):
        found |= {
            "sasl_mechanism": settings.kafka_sasl,
            "sasl_plain_username": settings.kafka_user,
            "sasl_plain_password": settings.kafka_password.get_secret_value(),
        }
    return found


def security(settings: Settings) -> BaseSecurity:
    """The same, but for the addresses, in FastStream's form."""
    secure = _tls(settings)
    if not settings.kafka_security.startswith("SASL"):
        return BaseSecurity(ssl_context=secure, use_ssl=secure is not None)
    kinds = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
    return kinds[settings.kafka_sasl](
        username=settings.kafka_user, password=settings.kafka_password.get_secret_value(), ssl_context=secure, use_ssl=secure is not None
    )


def _tls(settings: Settings) -> ssl.SSLContext | None:
    """Brokers are believed whose certificates the machine trusts; OpenSSL's variable SSL_CERT_FILE names others."""
    return ssl.create_default_context() if settings.kafka_security.endswith("SSL") else None
