"""Which addresses are out in the public internet: the rest is ours, or nobody's, and is never fetched from. Pure.

Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and what follows), RFC 6052 (NAT64).
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from types import MappingProxyType

REFUSED: Mapping[IPv4Network, str] = MappingProxyType({
    IPv4Network(network): reason
    for network, reason in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local; where clouds keep credentials"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relays"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarks"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved; broadcast"),
    )
})  # fmt: skip
UNICAST = IPv6Network("2000::/3")
"""All of IPv6 that is given out. What lies outside is loopback, link-local, private, multicast, IPv4 in disguise, or reserved."""
REFUSED_6: Mapping[IPv6Network, str] = MappingProxyType({
    IPv6Network(network): reason
    for network, reason in (
        ("2001::/23", "protocol assignments; Teredo, which carries an IPv4 address"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4, which carries an IPv4 address"),
        ("3fff::/20", "documentation"),
    )
})  # fmt: skip
NAT64 = IPv6Network("64:ff9b::/96")
"""How an IPv4 address is called where there is only IPv6; it is as public as that one."""


def refused(address: str) -> str | None:
    """Why nothing is fetched from there; None for a public address."""
    try:
        found = ip_address(address)
    except ValueError:
        return "no address"
    if isinstance(found, IPv4Address):
        return next((reason for network, reason in REFUSED.items() if found in network), None)
    if found.scope_id is not None:
        return "of one link only"
    if found in NAT64:
        return refused(str(IPv4Address(int(found) & 0xFFFFFFFF)))
    if found not in UNICAST:
        return _reason(found)
    return next((reason for network, reason in REFUSED_6.items() if found in network), None)


def _reason(found: IPv6Address) -> str:
    if found.ipv4_mapped is not None:
        return "an IPv4 address in disguise"
    return "loopback" if found.is_loopback else "multicast" if found.is_multicast else "link-local" if found.is_link_local else "not public"
