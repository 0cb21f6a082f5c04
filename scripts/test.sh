#!/usr/bin/env bash
# Sets everything up and runs the tests; arguments go to pytest.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/test.sh [--slow] [PYTEST ARGUMENTS]   such as: scripts/test.sh tests/replay -k sample

--slow runs only the slow tests, which are otherwise left out: long ones, further cases of quick ones,
and tests/slow/, which needs a network and gigabytes on disk.

Environment: PEERS_PYTHON  an interpreter with Stable-Baselines3 and this package's dependencies
                           for --slow, which otherwise installs them
TEXT
}

case ${1:-} in
    -h | --help) usage && exit 0 ;;
esac
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
"$root/scripts/setup.sh"
cd -- "$root"
if [ "${1:-}" = --slow ]; then
    shift
    set -- -m slow "$@"
fi
exec "$root/.venv/bin/python" -m pytest "$@"
