"""Pages of Ogg files: the links of a chain, and whether the last page ends its stream."""

from __future__ import annotations

from typing import BinaryIO

__all__ = ["ends", "links"]

_PAGE = 65_307  # bytes, the largest
_HEAD = 27
_BEGINS, _ENDS = 2, 4  # flags of a page


def links(file: BinaryIO, size: int) -> list[tuple[int, int]]:
    """List first byte and one past the last of each link: streams that follow each other.

    Streams of radio and joined files are chains: whoever reads the first link alone takes the
    first piece for all.
    """
    starts, place, was_first = list[int](), 0, False
    while place < size:
        file.seek(place)
        page = file.read(_HEAD + 255)
        if page[:4] != b"OggS" or len(page) < _HEAD:
            break
        is_first = bool(page[5] & _BEGINS)
        if is_first and not was_first:
            starts.append(place)
        was_first = is_first
        n_segments = page[26]
        place += _HEAD + n_segments + sum(page[_HEAD : _HEAD + n_segments])
    stops = [*starts[1:], size] if starts else []  # no page says that it is the first
    return list(zip(starts, stops, strict=True))


def ends(file: BinaryIO, size: int) -> bool:
    """Return whether the last page is whole and marked as the end of its stream."""
    file.seek(max(0, size - 2 * _PAGE))
    tail = file.read(2 * _PAGE)
    place, is_end = tail.find(b"OggS"), False
    while place >= 0:
        table = tail[place + 27 : place + 27 + tail[place + 26]] if place + 26 < len(tail) else b""
        end = place + 27 + len(table) + sum(table)
        is_whole = bool(table) and end <= len(tail)
        is_end = is_whole and bool(tail[place + 5] & _ENDS)
        is_followed = is_whole and tail[end : end + 4] == b"OggS"
        place = end if is_followed else tail.find(b"OggS", end if is_end else place + 4)
    return is_end
