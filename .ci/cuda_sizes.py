"""Print how much of a module is code of each GPU architecture: ``cuda_sizes.py MODULE.so``.

A module holds fat binaries: a header (magic number, version, size of the header, size of what
follows), then entries, each with a header of its own: kind (1 PTX, 2 machine code), size, compute
capability. Entries may be compressed; sizes are those in the file.
"""

from __future__ import annotations

import struct
import sys
from collections import Counter
from pathlib import Path

MAGIC = struct.pack("<I", 0xBA55ED50)


def sizes(data: bytes) -> Counter[str]:
    """Add up the entries of all fat binaries, by kind and architecture."""
    found: Counter[str] = Counter()
    at = data.find(MAGIC)
    while at >= 0:
        _, _, header, total = struct.unpack_from("<IHHQ", data, at)
        entry, end = at + header, at + header + total
        while entry + 32 <= end:
            kind, _, entry_header, size = struct.unpack_from("<HHIQ", data, entry)
            (architecture,) = struct.unpack_from("<I", data, entry + 28)
            found[f"{'PTX of compute' if kind == 1 else 'sm'}_{architecture}"] += size
            entry += entry_header + size
        at = data.find(MAGIC, end)
    return found


def main() -> None:
    """Print a line per architecture."""
    data = Path(sys.argv[1]).read_bytes()
    for name, size in sorted(sizes(data).items(), key=lambda item: int(item[0].split("_")[1])):
        print(f"{name:>16}  {size / 1e6:6.2f} MB")
    print(f"{'module':>16}  {len(data) / 1e6:6.2f} MB")


if __name__ == "__main__":
    main()
