"""Bearer tokens. Source: https://developers.awork.com/authentication"""

from __future__ import annotations

from requests import PreparedRequest
from requests.auth import AuthBase


class BearerAuth(AuthBase):
    """
    Sends ``Authorization: Bearer <token>``.

    :param token: API key or OAuth access token; never part of ``repr``.
    """

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request
