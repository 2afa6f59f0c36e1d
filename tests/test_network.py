"""The suite itself cannot reach the network, so nothing it exercises needs to."""

from __future__ import annotations

import socket
import urllib.request

import pytest

OUTSIDE = "a test tried to reach"


@pytest.mark.parametrize("name", ["connect", "connect_ex"])
@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_sockets_to_the_outside_are_refused(name: str, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as outside, pytest.raises(RuntimeError, match=OUTSIDE):
        getattr(outside, name)((address, 80))


def test_datagrams_names_and_urls_are_refused() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside,
        pytest.raises(RuntimeError, match=OUTSIDE),
    ):
        outside.sendto(b"x", ("192.0.2.1", 53))
    with pytest.raises(RuntimeError, match=OUTSIDE):
        socket.getaddrinfo("example.org", 80)
    with pytest.raises(RuntimeError, match=OUTSIDE):
        urllib.request.urlopen("http://example.org/", timeout=1)


def test_loopback_and_unix_sockets_work() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(("localhost", server.getsockname()[1])) as client,
    ):
        client.sendall(b"hello")
        accepted, _ = server.accept()
        with accepted:
            assert accepted.recv(5) == b"hello"
    one, other = socket.socketpair()
    with one, other:
        one.sendall(b"hello")
        assert other.recv(5) == b"hello"
