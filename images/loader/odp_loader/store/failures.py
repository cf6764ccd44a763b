"""Turns what a file system raises into the errors of a load, in one place; no text of theirs that could hold a key gets through."""

import errno
import os
import re
import shutil
from pathlib import Path

from odp_loader.errors import CredentialsRefused, InvalidLoad, LoadError, Transient
from odp_loader.spec import Storage

_REFUSED = re.compile(
    # S3's codes, as its SDK spells the ones it knows and as the server wrote the others
    "ACCESS_DENIED|INVALID_ACCESS_KEY_ID|INVALID_CLIENT_TOKEN_ID|INVALID_SIGNATURE|SIGNATURE_DOES_NOT_MATCH"
    "|MISSING_AUTHENTICATION_TOKEN|UNRECOGNIZED_CLIENT|REQUEST_EXPIRED|REQUEST_TIME_TOO_SKEWED|ExpiredToken|InvalidToken"
    "|TokenRefreshRequired|HTTP status 40[13]"
    # Google's, and Azure's
    "|PERMISSION_DENIED|UNAUTHENTICATED|Could not create a OAuth2 access token|AuthenticationFailed|AuthorizationFailure"
    r"|AuthorizationPermissionMismatch|NoAuthenticationInformation|Azure Error: \[\w*\] 40[13]"
)
_NO_BUCKET = re.compile("NO_SUCH_BUCKET|InvalidBucketName|ContainerNotFound")
_WRONG_REGION = re.compile("HTTP status 301|AuthorizationHeaderMalformed")
_RIGHT_REGION = re.compile(r"(?:located in|expecting) '([a-z0-9-]+)'")
_NOT_TRUSTED = re.compile(r"curlCode: 60|CURL error \[60\]")
_SERVER_SPOKE = re.compile(r"AWS Error|Azure Error:|google::cloud::Status|Check for Hierarchical Namespace")


def from_object_store(error: Exception) -> bool:
    """Whether an error of pyarrow comes from an object store, and not from the contents of a file."""
    return bool(_SERVER_SPOKE.search(str(error)))


def storage_failure(error: Exception, *, url: str, storage: Storage | None) -> LoadError:
    """What an error of an object store means for the load. Unknown ones are worth another try."""
    text = str(error)
    if found := _REFUSED.search(text):
        name = storage.secret_name if storage else None
        whose = f"the keys in Secret {name!r}" if name else "this process's own identity, or name a Secret in storage.secretName"
        return CredentialsRefused(
            f"{url}: the object store refused the credentials ({found[0]}): check {whose};"
            " they must not have expired, and must be allowed to list, read, write and delete here"
        )
    if _WRONG_REGION.search(text):
        region = _RIGHT_REGION.search(text)
        return InvalidLoad(f"{url}: the bucket is in another region: set storage.region{f' to {region[1]}' if region else ''}")
    if _NOT_TRUSTED.search(text):
        return InvalidLoad(f"{url}: the server's certificate is not trusted: name the file with your CA in SSL_CERT_FILE")
    if isinstance(error, FileNotFoundError):
        return InvalidLoad(f"{url} does not exist")
    if _NO_BUCKET.search(text):
        return InvalidLoad(f"{url}: there is no such bucket: create it, or correct the url or storage.endpoint")
    return Transient(f"{url}: the object store failed: {_words(text)}")


def local_failure(error: OSError, path: Path | str) -> LoadError:
    """What an error of a local file system means for the load."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return LoadError(
                f"{path}: the disk is full, {_free(Path(path))}: free some space, or choose another url, and run it again"
            )
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return InvalidLoad(
                f"{path} is out of reach for user {os.getuid()} ({error.strerror}): change its permissions, or choose another url"
            )
        case errno.ENOTDIR | errno.EEXIST:
            return InvalidLoad(f"{path}: a file stands where a folder should be: move it, or choose another url")
        case errno.EISDIR | errno.ENOTEMPTY:
            return InvalidLoad(f"{path}: a folder stands where a file should be: move it, or choose another url")
        case errno.ENAMETOOLONG | errno.ELOOP | errno.ENOENT:
            return InvalidLoad(f"{path}: {error.strerror}: correct the url")
    return LoadError(f"{path}: {error.strerror or _words(str(error))}")


def _words(text: str) -> str:
    """The provider's own words, on one line and short."""
    found = _SERVER_SPOKE.search(text)
    return " ".join(text[found.start() if found else 0 :].split(" error_info=")[0].split())[:240]


def _free(path: Path) -> str:
    while not path.exists():
        path = path.parent
    usage = shutil.disk_usage(path)
    return f"{usage.free / 2**20:,.1f} MiB of {usage.total / 2**20:,.1f} MiB are free"
