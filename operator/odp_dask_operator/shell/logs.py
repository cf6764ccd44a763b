"""Writes log lines, as JSON for machines or as text for people, with the job that they are about."""

import datetime
import json
import logging
import sys

from odp_dask_operator.shell.options import LogFormat

_ABOUT = ("job", "namespace", "uid")


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: getattr(record, name) for name in _ABOUT if hasattr(record, name)},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class _ConsoleFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        about = "/".join(str(getattr(record, name)) for name in ("namespace", "job") if hasattr(record, name))
        head = f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower():7}"
        line = f"{head} {f'{about}: ' if about else ''}{record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up_logs(form: LogFormat, *, verbose: bool) -> None:
    """To standard error. Kopf's own lines come from WARNING on: what it does here is of no interest while it works."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if form is LogFormat.JSON else _ConsoleFormatter())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.getLogger("odp_dask_operator").setLevel(logging.DEBUG if verbose else logging.INFO)
    for noisy in ("kopf", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # It warns that it takes no signals, and is not meant to.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
