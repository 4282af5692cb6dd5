"""HTTP connections on which a whole answer, header lines and body, has a limited time."""

from __future__ import annotations

import functools
import http.client
import io
import time
from typing import Any

from requests.adapters import HTTPAdapter


class SlowAnswerError(OSError):
    """An answer is not complete in its time. Not a ``TimeoutError``: requests would name another time."""


class BoundedAdapter(HTTPAdapter):
    """
    Ends answers that trickle in: a read time-out starts anew with each byte, this time does not.

    :param seconds: that an answer may take from its request on.
    :param options: as ``HTTPAdapter`` takes them.
    """

    def __init__(self, *, seconds: float, **options: Any) -> None:
        super().__init__(**options)
        self._seconds = seconds

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = _bounded(type(pool).ConnectionCls, self._seconds)
        return pool


@functools.cache
def _bounded(connection_class: type, seconds: float) -> Any:
    response_class = staticmethod(functools.partial(_BoundedResponse, seconds=seconds))
    return type(f"Bounded{connection_class.__name__}", (connection_class,), {"response_class": response_class})


class _BoundedResponse(http.client.HTTPResponse):
    def __init__(self, *args: Any, seconds: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fp = io.BufferedReader(_BoundedReader(self.fp.detach(), seconds))


class _BoundedReader(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, seconds: float) -> None:
        self._raw = raw
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if time.monotonic() > self._deadline:
            raise SlowAnswerError(f"the answer comes too slowly: it is not complete after {self._seconds:.0f} s")
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
