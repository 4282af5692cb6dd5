"""awork's error answers. Facts: sections 2.3 and 7 of the API facts; https://developers.awork.com/error-handling"""

from __future__ import annotations

from typing import Any

_USUAL = {
    400: ("validation-failed", "The request is not valid."),
    403: ("unauthorized", "The request was blocked."),
    404: ("not-found", "There is no matching resource for this URL."),
    405: ("not-found", "There is no matching path for this URL and method."),
    429: ("too-many-requests", "The rate limit is exceeded."),
    500: ("server-error", "An internal error occurred."),
}


class ApiError(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, code: str, description: str, *details: str, field: str | None = None) -> None:
        super().__init__(description)
        self.status = status
        self.code = code
        self.details = details
        self.field = field

    def body(self, trace_id: str) -> dict[str, Any]:
        """awork's error object."""
        body = _error_object(self.code, str(self), trace_id)
        if self.details:
            body["details"] = list(self.details)
        if self.field:
            body["validationErrors"] = [{"property": self.field, "message": str(self)}]
        return body


def usual_body(status: int, trace_id: str) -> dict[str, Any]:
    """What awork sends with a status when there is nothing special to say; a 401 is wrapped, unlike the others."""
    if status == 401:
        return {"message": {"code": "unauthorized", "description": "Unauthorized"}}
    default = _USUAL[500] if status >= 500 else _USUAL[400]
    return _error_object(*_USUAL.get(status, default), trace_id)


def _error_object(code: str, description: str, trace_id: str) -> dict[str, Any]:
    return {"code": code, "description": description, "link": "https://developers.awork.com", "traceId": trace_id}
