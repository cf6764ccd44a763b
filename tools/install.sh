#!/bin/sh
# Makes .venv from requirements-dev.lock, then both projects editable. Uses uv where it is, pip otherwise.
set -eu
cd "$(dirname "$0")/.."
version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || {
    echo "$PYTHON was not found: install Python 3.11, 3.12 or 3.13, or name it: make PYTHON=python3.12 $*" >&2
    exit 1
}
case $version in
3.11 | 3.12 | 3.13) ;;
*)
    echo "$PYTHON is Python $version; this needs 3.11, 3.12 or 3.13. Name one: make PYTHON=python3.12" >&2
    exit 1
    ;;
esac
if command -v uv >/dev/null 2>&1; then
    [ -x .venv/bin/python ] || uv venv --quiet --python "$PYTHON" .venv
    uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements-dev.lock
    uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e images/loader -e .
else
    [ -x .venv/bin/pip ] || "$PYTHON" -m venv --clear .venv || {
        echo "$PYTHON cannot make a virtual environment: on Debian and Ubuntu, apt-get install python3-venv" >&2
        exit 1
    }
    .venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
    .venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e images/loader -e .
fi
