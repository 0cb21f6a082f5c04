#!/usr/bin/env bash
# Regenerates requirements.lock and requirements-gpu.lock from the .in files.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/lock.sh [UV ARGUMENTS]

Pins every dependency with hashes, for Python 3.10 to 3.12 on Linux and macOS. Pinned
versions are kept, except with scripts/lock.sh --upgrade or
scripts/lock.sh --upgrade-package numpy. Needs uv.
TEXT
}

case ${1:-} in
    -h | --help) usage && exit 0 ;;
esac
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
cd -- "$root"
uv=$(command -v uv || command -v .venv/bin/uv || true)
if [ -z "$uv" ]; then
    echo 'lock: uv was not found; install it with .venv/bin/python -m pip install uv' >&2
    exit 2
fi
for name in requirements requirements-gpu; do
    "$uv" pip compile --quiet --universal --python-version 3.10 --generate-hashes \
        --custom-compile-command scripts/lock.sh "$@" "$name.in" --output-file "$name.lock"
    if grep -nE '^ *--(extra-)?index-url|^ *--find-links|://' "$name.lock" >&2; then
        echo "lock: $name.lock names a host that others may not reach; remove these lines" >&2
        exit 1
    fi
    echo "$name.lock: $(grep -c '^[a-z]' "$name.lock") packages"
done
