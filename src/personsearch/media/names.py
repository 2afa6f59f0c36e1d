"""Names for files that are made from other people's names, which lead nowhere but into their folder."""

from __future__ import annotations

import hashlib
import re
import unicodedata

LONGEST = 60
"""Letters of the readable part; with its mark and ending a name stays below 255 bytes."""


def safe_name(text: str, key: str, ending: str) -> str:
    """A file name that begins like ``text``, is its own for every ``key``, and has an ``ending``.

    Only letters and digits of any script, ``-``, ``_`` and ``.`` inside are kept, so no separator, no
    leading dot or dash, no name with a meaning and nothing that a terminal obeys is left. The mark
    before the ending comes from ``key``: two files of one name in two folders stay two, and the
    same key gives the same name again.

    Args:
        text: what people call it, such as a file's stem.
        key: what it is: a path, a time ...; any text.
        ending: such as ``".jpg"``.

    >>> safe_name("../../etc/pass wd", "a", ".jpg")
    'etc_pass_wd-ca978112.jpg'
    >>> safe_name("..", "a", ".jpg"), safe_name("-rf", "a", ".jpg")
    ('file-ca978112.jpg', 'rf-ca978112.jpg')
    """
    plain = unicodedata.normalize("NFC", text).encode("utf-8", "replace").decode()
    kept = re.sub(r"[^\w.-]+", "_", plain).strip("._-")[:LONGEST].rstrip("._-")
    while len(kept.encode()) > 3 * LONGEST:  # letters of four bytes
        kept = kept[:-1]
    mark = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{kept or 'file'}-{mark}{ending}"
