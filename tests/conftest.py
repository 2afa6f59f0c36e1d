"""What holds for every test: no way out to the network, and few threads a process."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest

# Before NumPy or torch is imported by anybody: the suite runs in several processes side by side,
# and each of them starting a thread a core makes all of them slower. Child processes inherit it.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
# Nor does the suite read or fill the user's own cache of annotation; tests of the cache set a folder.
os.environ["PERSONSEARCH_CACHE"] = "off"

# A shell that starts the suite in the background has Ctrl-C ignored in it and in all its
# children; tests that interrupt would wait for nothing.
signal.signal(signal.SIGINT, signal.default_int_handler)


class OutsideNetworkError(RuntimeError):
    """A test tried to reach something beyond this machine."""


def is_local(host: object) -> bool:
    """Whether ``host`` (a name or an address) is this machine itself."""
    if host in (None, "", "localhost", b"localhost"):
        return True
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(text.split("%")[0]).is_loopback
    except ValueError:
        return False


def refuse(host: object) -> None:
    if not is_local(host):
        raise OutsideNetworkError(f"a test tried to reach {host!r}; nothing here may use the network")


@pytest.fixture(autouse=True, scope="session")
def no_outside_sockets() -> Iterator[None]:
    """Only loopback and unix sockets connect; other names are not even looked up."""
    patch = pytest.MonkeyPatch()

    def guard_address(name: str) -> None:
        original = getattr(socket.socket, name)

        def guarded(self: socket.socket, *arguments: Any) -> Any:
            address = arguments[-1]  # the last argument of connect, connect_ex and sendto
            if self.family in (socket.AF_INET, socket.AF_INET6):
                refuse(address[0])
            return original(self, *arguments)

        patch.setattr(socket.socket, name, guarded)

    def guard_lookup(name: str) -> None:
        original = getattr(socket, name)

        def guarded(host: object, *arguments: Any, **keywords: Any) -> Any:
            refuse(host)
            return original(host, *arguments, **keywords)

        patch.setattr(socket, name, guarded)

    for name in ("connect", "connect_ex", "sendto"):
        guard_address(name)
    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        guard_lookup(name)
    yield
    patch.undo()
