#!/bin/sh
# Install cds-service from a checkout into a folder of its own, from the lock file, without a compiler.
# Usage: install.sh CHECKOUT [FOLDER]; FOLDER is /opt/cds-service unless said. Needs Python 3.11 or later with venv.
set -eu

checkout=${1:?the folder of the checkout}
folder=${2:-/opt/cds-service}
python=${PYTHON:-python3}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Python 3.11 or later is needed; name it with PYTHON=python3.12" >&2
    exit 1
}
"$python" -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir --only-binary :all: \
    --require-hashes --requirement "$checkout/requirements.lock"
"$folder/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir --no-build-isolation --no-deps "$checkout"
# Byte code is written now: the tree is read-only when the service runs.
"$folder/bin/python" -m compileall -q "$folder/lib" || true
"$folder/bin/pip" uninstall --quiet --yes setuptools pip
"$folder/bin/cds-service" --version
