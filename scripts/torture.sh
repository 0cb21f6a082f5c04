#!/usr/bin/env bash
# Runs the long forms of the tests of tests/faults/: kills, failing calls, flipped bits, histories.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

usage() {
    cat <<'TEXT'
usage: scripts/torture.sh WHAT [OPTIONS]

  kills     kill a small writer of episodes and checkpoints at random moments   --count N --seed N
  faults    let every single call of a save fail with ENOSPC, EIO, a crash or a power cut
  flips     change every bit of an episode and of a checkpoint, and cut both off everywhere   --plain
  machines  play random histories on the replay and the checkpoint store   --count N
  resume    stop or kill real training runs and compare them with uninterrupted ones   --configs NAME ...
            --precision NAME ... --stops N --signal SIGTERM|SIGKILL --every SECONDS

Each prints its results; the first four also write them as JSON with --json FILE. OPTIONS go to the
program tests/faults/WHAT.py, whose --help lists them all. Exit code 0: nothing was corrupt, mixed,
wrong or impossible to resume.

  scripts/torture.sh kills --count 1000
TEXT
}

case ${1:-} in
    -h | --help)
        usage
        exit 0
        ;;
    kills | faults | flips | machines | resume)
        what=$1
        shift
        ;;
    *)
        echo "torture: expected kills, faults, flips, machines or resume, not '${1:-}'; see scripts/torture.sh --help" >&2
        exit 2
        ;;
esac
python=$root/.venv/bin/python
if [ ! -x "$python" ]; then python=python3; fi
PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" exec "$python" -m "tests.faults.$what" "$@"
