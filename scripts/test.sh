#!/usr/bin/env bash
# Sets everything up and runs the tests; arguments go to pytest.
set -euo pipefail

if [ "${1:-}" = -h ] || [ "${1:-}" = --help ]; then
    echo 'usage: scripts/test.sh [PYTEST ARGUMENTS]   such as: scripts/test.sh tests/replay -k sample'
    exit 0
fi
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
"$root/scripts/setup.sh"
cd -- "$root"
exec "$root/.venv/bin/python" -m pytest "$@"
