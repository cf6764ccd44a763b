"""What can stop a load, and what each failure means for whoever runs it.

LoadError                    exit 1, may be tried again
├── Transient                exit 1, tried again at once by whoever holds the partition
│   └── Throttled            the server asked for fewer requests; carries its Retry-After
├── InvalidLoad              exit 2
│   └── InvalidExpression    exit 2, carries the text and the position of the fault
├── CredentialsRefused       exit 3
├── VerificationFailed       exit 4
├── OutputExists             exit 5
└── UserCodeFailed           exit 6

Messages are for the person on call: object, cause, next step. They never hold a request, a header or a key,
because Dask ships exceptions between processes and prints them on its dashboard.
"""

from typing import ClassVar


class LoadError(Exception):
    """A load stopped for a reason that is none of the narrower ones; another attempt may succeed."""

    exit_code: ClassVar[int] = 1
    """The process's exit status; part of the documented interface."""
    reason: ClassVar[str] = "LoadFailed"
    """CamelCase, as it stands in `status.reason`."""

    @property
    def retryable(self) -> bool:
        """Whether the same load may succeed when it is run again unchanged."""
        return self.exit_code == 1


class Transient(LoadError):
    """The network, the server or the storage failed in a way that a repetition may cure."""

    reason = "Unavailable"


class Throttled(Transient):
    """The server answered 429."""

    reason = "Throttled"

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message, retry_after_s)
        self.message = message
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return self.message


class InvalidLoad(LoadError):
    """The load names something that does not exist or cannot work: a table, column, filter, type or preset."""

    exit_code = 2
    reason = "InvalidLoad"


class InvalidExpression(InvalidLoad):
    """An expression could not be parsed, or does not fit the columns it names.

    `position` is the 0-based offset in `text` of the character at fault; `str()` shows the text with a caret below it.
    """

    reason = "InvalidExpression"

    def __init__(self, message: str, text: str, position: int) -> None:
        super().__init__(message, text, position)
        self.message = message
        self.text = text
        self.position = position

    def __str__(self) -> str:
        line_start = self.text.rfind("\n", 0, self.position) + 1
        line = self.text[line_start:].split("\n", 1)[0]
        caret = " " * (self.position - line_start) + "^"
        return f"{self.message}\n  {line}\n  {caret}"


class CredentialsRefused(LoadError):
    """A key or another credential is missing, wrong or expired."""

    exit_code = 3
    reason = "CredentialsRefused"


class VerificationFailed(LoadError):
    """Rows read, written and expected do not agree, and reading the difference again did not help."""

    exit_code = 4
    reason = "VerificationFailed"


class OutputExists(LoadError):
    """The output holds a dataset already, or belongs to another load."""

    exit_code = 5
    reason = "OutputExists"


class UserCodeFailed(LoadError):
    """The job's own `map` function raised, or returned something that is not the table it returned first."""

    exit_code = 6
    reason = "UserCodeFailed"
