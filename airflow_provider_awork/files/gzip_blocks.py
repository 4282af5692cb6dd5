"""
A gzip file whose blocks are compressed side by side, as deflating alone takes longer than all else that an export does.

Each block is deflated by itself and ends at a whole byte, so that the blocks in a row are one deflate stream of one
gzip member, which every reader takes. Source: RFC 1951, RFC 1952; pigz does the same.
"""

from __future__ import annotations

import io
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO

THREADS = 2

# Neither a name nor a time, so that the same blocks give the same bytes.
_HEADER = b"\x1f\x8b\x08\x00" + bytes(4) + b"\x04\xff"
_END = b"\x03\x00"  # the last block of the stream, empty


class GzipBlocks(io.RawIOBase):
    """
    Compresses what is written to it; each call of ``write`` is a block, so it should be large.

    :param sink: is written to in order, from the thread that writes here; closing this leaves it open.
    :param level: of zlib, 1 to 9.
    """

    def __init__(self, sink: BinaryIO, level: int) -> None:
        self._sink = sink
        self._level = level
        self._crc = self._size = 0
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="awork-gzip")
        self._blocks: deque[Future[bytes]] = deque()
        sink.write(_HEADER)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if len(self._blocks) > THREADS:
            self._sink.write(self._blocks.popleft().result())
        self._blocks.append(self._pool.submit(_deflate, data, self._level))
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)
        return len(data)

    def close(self) -> None:
        if self.closed:
            return
        try:
            while self._blocks:
                self._sink.write(self._blocks.popleft().result())
            self._sink.write(_END + self._crc.to_bytes(4, "little") + (self._size % 2**32).to_bytes(4, "little"))
        finally:
            # Not waited for: what is given up may be closed by the garbage collector, in a thread of the pool.
            self._pool.shutdown(wait=False, cancel_futures=True)
            super().close()


def _deflate(data: bytes, level: int) -> bytes:
    deflate = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH)
