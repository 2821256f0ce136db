"""Claims about which addresses may be reached."""

import ipaddress
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.fetching.addresses import check_public, is_public, resolve
from dataset.errors import ItemError

PUBLIC = "93.184.215.14"


def kind_of(url: str, *, addresses: tuple[str, ...] = (PUBLIC,)) -> str:
    """The reason a URL is refused, when its name leads to these addresses."""
    with pytest.raises(ItemError) as caught:
        check_public(url, resolver=lambda _host, _port: addresses)
    return caught.value.kind


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "017700000001", "0.0.0.0",
        "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1",
        "255.255.255.255", "[::1]", "[::]", "[fe80::1]", "[fd00::1]", "[ff02::1]",
        "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]", "[64:ff9b::7f00:1]", "[::127.0.0.1]",
        "[2002:7f00:1::]",
    ],
)  # fmt: skip
def test_inner_addresses_are_refused_in_every_notation(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However an inner address is written, it is refused, and nothing connects to it."""

    def no_connection(*_: object) -> None:
        pytest.fail("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", no_connection)
    with pytest.raises(ItemError) as caught:
        check_public(f"http://{host}/x.mp4")
    # A resolver that does not know a notation refuses it as well.
    assert caught.value.kind in ("fetch.private_address", "fetch.unresolved")


@given(st.ip_addresses(v=4))
@settings(deadline=None)
def test_no_notation_of_an_inner_address_passes(address: ipaddress.IPv4Address) -> None:
    """An IPv4 address and every IPv6 address that stands for it are judged alike."""
    mapped = ipaddress.IPv6Address((0xFFFF << 32) | int(address))
    translated = ipaddress.IPv6Address((0x64FF9B << 96) | int(address))
    assert is_public(str(address)) == is_public(str(mapped)) == is_public(str(translated))


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "2606:4700:4700::1111"])
def test_public_addresses_pass(address: str) -> None:
    """Addresses of the public internet may be reached, and are handed on."""
    target = check_public("https://example.org/a/b?c=d", resolver=lambda _host, _port: [address])
    assert target.addresses == (address,)
    assert (target.scheme, target.host, target.port) == ("https", "example.org", 443)
    assert target.request_path == "/a/b?c=d"


@pytest.mark.parametrize("text", ["fe80::1%eth0", "not an address", ""])
def test_what_is_no_plain_address_is_not_public(text: str) -> None:
    """Zones and names are no public addresses."""
    assert not is_public(text)


def test_one_inner_address_among_public_ones_is_enough() -> None:
    """A name that also leads inside is refused: which one is taken must not matter."""
    assert kind_of("http://a.org/", addresses=(PUBLIC, "10.0.0.1")) == "fetch.private_address"


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://a.org/x", "gopher://a.org", "data:text/html,x", "//a.org/x",
     "javascript:alert(1)", "/etc/passwd", "rtmp://a.org/x", ""],
)  # fmt: skip
def test_other_schemes_are_refused(url: str) -> None:
    """Only http and https are fetched."""
    assert kind_of(url) == "fetch.scheme"


@pytest.mark.parametrize(
    "url",
    ["http://", "http://a.org:99999/", "http://a.org:0/", "http://user:secret@a.org/",
     "http://a.org/\r\nX: y", "http://a.org /x", "http://[::1", "http://a.org\\@127.0.0.1/"],
)  # fmt: skip
def test_odd_urls_are_refused(url: str) -> None:
    """URLs that readers understand differently are not fetched."""
    assert kind_of(url) == "fetch.bad_url"


def test_secrets_of_a_url_are_not_told() -> None:
    """A password in a refused URL does not get into the message."""
    with pytest.raises(ItemError) as caught:
        check_public("http://user:secret@a.org/")
    assert "secret" not in str(caught.value)


def test_names_without_an_address_are_told() -> None:
    """A name that does not resolve is a failure of its own."""

    def no_such_name(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, f"{host}:{port} is not known")

    with pytest.raises(ItemError, match=r"fetch\.unresolved"):
        check_public("http://nowhere.example/", resolver=no_such_name)
    assert kind_of("http://a.org/", addresses=()) == "fetch.unresolved"


def test_the_allow_list_names_address_and_port() -> None:
    """What is allowed is one address and port, not the machine and not by name."""
    allow = frozenset({"127.0.0.1:8000"})
    assert check_public("http://127.0.0.1:8000/", allow=allow).addresses == ("127.0.0.1",)
    with pytest.raises(ItemError, match="private_address"):
        check_public("http://127.0.0.1:8001/", allow=allow)


def test_the_system_resolver_reads_numbers() -> None:
    """A numeric host needs no name server."""
    assert resolve("127.0.0.1", 80) == ["127.0.0.1"]
