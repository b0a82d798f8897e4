"""Whose address a request has, and in which networks it lies."""

from ipaddress import ip_address, ip_network

import pytest

from backend.identity.callers.addresses import TrustedProxies, is_within, parse_address

PROXIES = TrustedProxies.parse(["10.0.0.0/8", "2001:db8:ffff::/48"])


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::1", "::1"),
    ],
)
def test_an_address_is_the_same_in_both_ways_of_writing_it(written: str, meant: str) -> None:
    assert parse_address(written) == ip_address(meant)


@pytest.mark.parametrize("written", [None, "", "example.com", "10.0.0.256", "10.0.0.1:443", "10.0.0.0/8", "unknown"])
def test_what_is_no_address_is_none_and_lies_nowhere(written: str | None) -> None:
    assert parse_address(written) is None
    assert not is_within(written, [ip_network("0.0.0.0/0"), ip_network("::/0")])


@pytest.mark.parametrize(
    ("address", "network", "inside"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("::ffff:10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "::ffff:10.0.0.0/104", True),
        ("11.1.2.3", "::ffff:10.0.0.0/104", False),
        ("10.200.2.3", "::ffff:10.0.0.0/104", True),
        ("10.1.2.3", "::ffff:10.1.2.3/128", True),
        ("10.1.2.4", "::ffff:10.1.2.3/128", False),
        ("10.1.2.3", "::ffff:0.0.0.0/96", True),
        ("2001:db8::1", "2001:db8::/32", True),
        ("2001:db9::1", "2001:db8::/32", False),
        ("2001:db8::1", "2001:db8::/112", True),
        ("2001:db8::1:1", "2001:db8::/112", False),
        # Wider than what is mapped: a network of IPv6, in which no address of IPv4 lies.
        ("10.1.2.3", "::ffff:0.0.0.0/95", False),
        ("10.1.2.3", "::/0", False),
    ],
)
def test_a_network_of_either_kind_holds_its_addresses_however_they_are_written(
    address: str, network: str, *, inside: bool
) -> None:
    assert is_within(address, [ip_network(network, strict=False)]) is inside


def test_one_of_several_networks_is_enough_and_none_holds_nothing() -> None:
    networks = [ip_network("192.0.2.0/24"), ip_network("198.51.100.0/24")]
    assert is_within("198.51.100.7", networks)
    assert not is_within("198.51.100.7", [])


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "source"),
    [
        # Nobody believes what a stranger says of itself.
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("203.0.113.9", "", "203.0.113.9"),
        # A proxy of ours is believed, and so is the proxy that it names.
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.9.9.9", "198.51.100.1"),
        ("10.0.0.1", " 198.51.100.1 ,, 10.9.9.9 ,", "198.51.100.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("2001:db8:ffff::1", "2001:DB8::1", "2001:db8::1"),
        # The client may write anything in front: only the nearest hop that is not ours counts.
        ("10.0.0.1", "10.7.7.7, 198.51.100.1, 10.9.9.9", "198.51.100.1"),
        ("10.0.0.1", "127.0.0.1, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "10.2.2.2, 10.9.9.9", "10.2.2.2"),
        # What is no address ends the reading, and then the proxy itself is what is known.
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, unknown", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        (None, "198.51.100.1", None),
    ],
)
def test_the_source_is_the_nearest_hop_that_is_no_proxy_of_ours(
    peer: str | None, forwarded_for: str, source: str | None
) -> None:
    assert PROXIES.source_address(peer, forwarded_for) == source


def test_a_network_that_is_none_is_refused_at_start() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        TrustedProxies.parse(["10.0.0.0/8", "proxies"])
    with pytest.raises(ValueError, match="host bits"):
        TrustedProxies.parse(["10.0.0.1/8"])
