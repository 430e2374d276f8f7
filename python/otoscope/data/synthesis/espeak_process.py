"""Program that speaks sentences with espeak-ng's library: JSON in, 16-bit samples out.

espeak-ng carries state from one sentence to the next, so that only a fresh process repeats itself.
The program therefore imports nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any

__all__: list[str] = []

_SYNCHRONOUS = 2
_POSITION_CHARACTER, _UTF8 = 1, 1
_RATE, _PITCH = 1, 3  # espeak_PARAMETER
_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


def _main() -> None:
    """Write the sample rate, then for each sentence its number of bytes and its samples."""
    settings = json.load(sys.stdin)
    library = ctypes.CDLL(settings["library"])
    sr = library.espeak_Initialize(_SYNCHRONOUS, 0, settings["data"].encode(), 0)
    parts: list[bytes] = []

    def keep(samples: Any, n_samples: int, _: object) -> int:
        if n_samples > 0:
            parts.append(ctypes.string_at(samples, 2 * n_samples))
        return 0

    callback = _Callback(keep)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(settings["voice"].encode()):
        sys.exit(f"espeak-ng has no voice {settings['voice']!r}")
    library.espeak_SetParameter(_RATE, settings["rate"], 0)
    library.espeak_SetParameter(_PITCH, settings["pitch"], 0)
    sys.stdout.buffer.write(sr.to_bytes(4, "little"))
    for sentence in settings["sentences"]:
        parts.clear()
        text = sentence.encode()
        library.espeak_Synth(text, len(text) + 1, 0, _POSITION_CHARACTER, 0, _UTF8, None, None)
        samples = b"".join(parts)
        sys.stdout.buffer.write(len(samples).to_bytes(4, "little") + samples)


if __name__ == "__main__":
    _main()
