"""The variables of a MATLAB 5 file as streams of bytes that never hold more than asked for.

A packed variable says after its first eight bytes how long it is unpacked. It is unpacked piece
by piece, and refused when it comes to more than that, so that no file, however made, fills the
memory before it is found out.

Source: MathWorks, "MAT-File Format" (R2019b), level 5; RFC 1950 for the packing.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

MATRIX, COMPRESSED = 14, 15
LARGEST = 64 << 20
"""Bytes of the longest single matrix that is held at once (a gallery of 4,000 takes 0.7 MB)."""

_PIECE, _FEED = 1 << 18, 1 << 14
_FREE, _RATIO = 64 << 20, 256  # the official files pack about 20:1, zeros can pack 1,030:1
_PADDING = 8


class Odd(ValueError):
    """The bytes are not what the format says."""


class Stream:
    """Bytes that arrive in pieces; ``left`` are those that the file's own headers still promise."""

    def __init__(self, pieces: Iterator[bytes], left: int) -> None:
        self.left = left
        self._pieces, self._piece, self._at = pieces, b"", 0

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes.

        Raises:
            Odd: the variable is shorter than that, or nobody should hold so much.
        """
        if size > self.left:
            raise Odd("an element is longer than what holds it")
        if size > LARGEST:
            raise Odd(f"one matrix of {size} bytes (at most {LARGEST})")
        self.left -= size
        stop = self._at + size
        if stop <= len(self._piece):
            taken = self._piece[self._at : stop]
            self._at = stop
            return taken
        parts = [self._piece[self._at :]]
        missing = size - len(parts[0])
        while missing > 0:
            self._piece = self._next()
            self._at = min(missing, len(self._piece))
            parts.append(self._piece[: self._at])
            missing -= self._at
        return b"".join(parts)

    def peek(self, size: int) -> bytes:
        """The next ``size`` bytes (all that is left, if that is less), which stay where they are."""
        size, left = min(size, self.left), self.left
        seen = self.take(size)
        self._piece, self._at, self.left = seen + self._piece[self._at :], 0, left
        return seen

    def finish(self) -> None:
        """Go through the rest, so that a packed variable's checksum has been compared.

        Raises:
            Odd: more comes than the header says.
        """
        more = len(self._piece) - self._at
        for piece in self._pieces:
            more += len(piece)
            if more > self.left + _PADDING:
                break
        if more > self.left + _PADDING:
            raise Odd("a packed variable is longer than its header says")

    def _next(self) -> bytes:
        piece = next(self._pieces, b"")
        if not piece:
            raise Odd("it is cut short")
        return piece


def variables(file: BinaryIO, size: int, order: str) -> Iterator[Stream]:
    """One stream a variable, standing behind its tag; ``size`` is the file's, ``order`` is < or >."""
    words = struct.Struct(f"{order}II")
    at = 128
    while at < size:
        file.seek(at)
        kind, length = words.unpack(file.read(8))
        at += 8 + length
        if at > size:
            raise Odd(f"it ends {at - size} bytes too early")
        if kind == COMPRESSED:
            stream = Stream(_unpacked(file, length), 8)
            kind, length = words.unpack(stream.take(8))
            stream.left = length
        else:
            stream = Stream(_pieces(file, length), length)
        if kind == MATRIX and length:
            yield stream


def _pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size and (piece := file.read(min(size, _PIECE))):
        size -= len(piece)
        yield piece


def _unpacked(file: BinaryIO, size: int) -> Iterator[bytes]:
    """What the next ``size`` bytes of ``file`` unpack to, ending after the checksum was right."""
    machine = zlib.decompressobj()
    waiting, fed, given = b"", 0, 0
    while not machine.eof:
        if not waiting and fed < size:
            waiting = file.read(min(size - fed, _FEED))
            fed += len(waiting)
        asked = bool(waiting)
        piece = machine.decompress(waiting, _PIECE)
        waiting = machine.unconsumed_tail
        if not piece and not asked and not machine.eof:
            raise Odd("a packed variable is cut short")
        given += len(piece)
        if given > _FREE + _RATIO * fed:
            raise Odd(f"{fed} bytes unpack to more than {given - len(piece)}")
        if piece:
            yield piece
