"""The API server's refusals as types: the class says whether another try can help.

rror
NotFound           the object, or its kind, is not there
Conflict           somebody else was quicker; read again
└── AlreadyExists  the name is taken
Gone               the version that was asked for is too old; list again
Refused            the same request gets the same answer until somebody changes something
├── Forbidden
│   └── QuotaExceeded
└── Invalid
Unavailable        the server has too much to do, or does not answer; the same request may be made again
"""

import json
from typing import Any

NO_ANSWER = 0
"""The code of a call that got no answer."""
_AGAIN = (401, 408, 429)
"""401 passes when the service account's token is read anew, which happens once a minute."""
_LONGEST = 2000


class ApiError(Exception):
    """A call failed."""

    def __init__(self, message: str, *, code: int, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        """HTTP status, or NO_ANSWER."""
        self.retry_after_s = retry_after_s
        """What the server asked for."""


class NotFound(ApiError):
    """The object or its kind is not there."""


class Conflict(ApiError):
    """The object has changed since it was read."""


class AlreadyExists(Conflict):
    """The name is taken."""


class Gone(ApiError):
    """The continuation or version is too old."""


class Refused(ApiError):
    """The server says no."""


class Forbidden(Refused):
    """RBAC, admission, or a namespace that is going."""


class QuotaExceeded(Forbidden):
    """A ResourceQuota leaves no room."""


class Invalid(Refused):
    """The request cannot be carried out as it is written."""


class Unavailable(ApiError):
    """No answer, or one that says to come again."""


def error_of(code: int, body: bytes, *, retry_after_s: float | None = None) -> ApiError:
    """The error that an answer of 400 and up stands for; its words are the server's."""
    status = _status(body)
    reason, message = str(status.get("reason") or ""), str(status.get("message") or f"HTTP {code}")[:_LONGEST]
    return _kind(code, reason, message)(message, code=code, retry_after_s=retry_after_s)


def _kind(code: int, reason: str, message: str) -> type[ApiError]:
    match code:
        case 404:
            return NotFound
        case 409:
            return AlreadyExists if reason == "AlreadyExists" else Conflict
        case 410:
            return Gone
        case 403:
            return QuotaExceeded if "exceeded quota" in message else Forbidden
        case _ if code in _AGAIN or code >= 500:
            return Unavailable
        case _:
            return Invalid


def _status(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
