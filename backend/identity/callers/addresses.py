"""Where a request comes from: the peer, or what proxies of ours say of it."""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_MAPPED_BITS = 96
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


def parse_address(text: str | None) -> Address | None:
    """Returns an address, an IPv4 one also where it is written as IPv6 (`::ffff:10.0.0.1`); None for anything else."""
    try:
        address = ipaddress.ip_address(text or "")
    except ValueError:
        return None
    return (address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None) or address


def is_within(text: str | None, networks: Iterable[Network]) -> bool:
    """Tells whether an address lies in one of the networks; what is no address lies in none."""
    address = parse_address(text)
    return address is not None and any(address in _unmapped(network) for network in networks)


def _unmapped(network: Network) -> Network:
    """Returns a network of IPv4 addresses that is written as IPv6 (`::ffff:10.0.0.0/104`) as what it is."""
    if isinstance(network, ipaddress.IPv4Network) or network.prefixlen < _MAPPED_BITS:
        return network
    first = network.network_address.ipv4_mapped
    return network if first is None else ipaddress.IPv4Network((first, network.prefixlen - _MAPPED_BITS))


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The networks of proxies whose `X-Forwarded-For` is believed."""

    networks: tuple[Network, ...]

    @classmethod
    def parse(cls, networks: Sequence[str]) -> "TrustedProxies":
        """Reads networks in CIDR notation; raises ValueError."""
        return cls(tuple(ipaddress.ip_network(network) for network in networks))

    def source_address(self, peer: str | None, forwarded_for: str) -> str | None:
        """Returns the nearest address that is no proxy of ours, read from the nearest hop outwards."""
        hops = [part.strip() for part in forwarded_for.split(",") if part.strip()]
        address = peer
        while hops and is_within(address, self.networks):
            address = hops.pop()
        known = parse_address(address)
        return peer if known is None else str(known)
