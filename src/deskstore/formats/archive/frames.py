"""Chunks of lines, packed as one zstd frame each that says how large it is unpacked."""

from __future__ import annotations

import sys
from typing import Final

from deskstore.domain import payloads
from deskstore.formats.archive.damage import Damaged

LEVEL: Final = 3
RAW_BYTES: Final = 2 * 2**20  #: of lines, after which a chunk ends
MOST_RAW_BYTES: Final = RAW_BYTES + 3 * payloads.MAX_BYTES  #: of a chunk whose last line is as long as a line can be
MOST_BYTES: Final = MOST_RAW_BYTES + 2**20  #: of a frame, which is never much larger than what is in it
_WINDOW_LOG: Final = 27


def pack(raw: bytes) -> bytes:
    """A frame that holds these bytes."""
    if sys.version_info >= (3, 14):
        from compression import zstd

        return zstd.compress(raw, LEVEL)
    import zstandard

    return zstandard.ZstdCompressor(level=LEVEL).compress(raw)


def unpack(frame: bytes, raw_bytes: int) -> bytes:
    """
    The bytes in a frame, which must be so many, and no more than a chunk may have.

    Raises:
        Damaged: The frame is none, says another size, or holds more or less; nothing much larger was ever unpacked.
    """
    if raw_bytes > MOST_RAW_BYTES:
        raise Damaged(f"it is to hold {raw_bytes:,} bytes: at most {MOST_RAW_BYTES:,} are allowed")
    raw = _unpacked(frame, raw_bytes)
    if len(raw) != raw_bytes:
        raise Damaged(f"it holds {len(raw):,} bytes and should hold {raw_bytes:,}")
    return raw


if sys.version_info >= (3, 14):

    def _unpacked(frame: bytes, raw_bytes: int) -> bytes:
        from compression import zstd

        try:
            unpacker = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})
            raw = unpacker.decompress(frame, max_length=raw_bytes + 1)
        except zstd.ZstdError as error:
            raise Damaged(f"it cannot be unpacked: {error}") from error
        if not unpacker.eof or unpacker.unused_data:
            raise Damaged("its frame does not end where it should")
        return raw

else:

    def _unpacked(frame: bytes, raw_bytes: int) -> bytes:
        import zstandard

        try:
            if zstandard.frame_content_size(frame) != raw_bytes:  # looked at first: so much memory would be taken
                raise Damaged(f"its frame does not say that it holds {raw_bytes:,} bytes")
            unpacker = zstandard.ZstdDecompressor(max_window_size=2**_WINDOW_LOG)
            return unpacker.decompress(frame, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise Damaged(f"it cannot be unpacked: {error}") from error
