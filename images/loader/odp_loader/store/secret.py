"""Reads a mounted Secret: a folder with one file for each key, read anew each time because its contents rotate."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from odp_loader.errors import CredentialsRefused

SECRETS_VARIABLE = "ODP_LOADER_SECRETS"
"""Environment variable with the folder in which each Secret is a folder."""


@dataclass(frozen=True, slots=True)
class Secret:
    """The keys of one Secret as they are now; shows none of them when printed."""

    name: str
    folder: Path
    values: dict[str, str] = field(repr=False)

    @property
    def digest(self) -> str:
        """Changes with any key."""
        return fingerprint(self.values)

    def require(self, *names: str) -> str:
        """The value of the first of `names` that is there. Raises CredentialsRefused when none is."""
        for name in names:
            if value := self.values.get(name):
                return value
        raise CredentialsRefused(
            f"Secret {self.name!r} has no key {' or '.join(names)}: add it"
            f" (it has {', '.join(sorted(self.values)) or 'no key at all'})"
        )


def read_secret(name: str) -> Secret:
    """Read all keys of a Secret; line ends around a value are dropped. Raises CredentialsRefused when it is not there."""
    root = os.environ.get(SECRETS_VARIABLE)
    if not root:
        raise CredentialsRefused(
            f"Secret {name!r} cannot be found: the environment variable {SECRETS_VARIABLE} does not say in which folder Secrets are"
        )
    folder = Path(root) / name
    if name in ("", ".", "..") or "/" in name or not folder.is_dir():
        raise CredentialsRefused(
            f"Secret {name!r} is not there: {folder} is no folder; create the Secret, or correct storage.secretName"
        )
    try:
        values = {
            file.name: file.read_text().strip()
            for file in sorted(folder.iterdir())
            if not file.name.startswith(".") and file.is_file()
        }
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is no text"
        raise CredentialsRefused(f"Secret {name!r} cannot be read from {folder}: {words}") from None
    return Secret(name, folder, values)


def fingerprint(values: dict[str, str]) -> str:
    """A digest that tells two sets of keys apart and gives none away."""
    return hashlib.sha256(repr(sorted(values.items())).encode()).hexdigest()
