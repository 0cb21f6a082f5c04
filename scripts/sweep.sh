#!/usr/bin/env bash
# Trains several seeds of one configuration, one after another.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/sweep.sh CONFIG TASK SEED... [-- FLAGS FOR TRAIN]

  scripts/sweep.sh mario mario_3-1 0 1 2 3 4
  scripts/sweep.sh 'mario debug' mario_3-1+3-2 0 1 -- --precision float32

Each seed has its logdir ROOT/TASK/SEED, with ROOT from LOGROOT (default ~/logdir). Finished seeds
are skipped and stopped ones go on, so the same command can be given again at any time. A seed that
fails does not stop the others; Ctrl-C stops the sweep, with a checkpoint.

Exit code: 0 all finished, 1 some failed, 2 bad input, 75 stopped.
TEXT
}

fail() {
    printf 'sweep: %s; see scripts/sweep.sh --help\n' "$1" >&2
    exit 2
}

case ${1:-} in
    -h | --help) usage && exit 0 ;;
esac
[ $# -ge 3 ] || fail 'expected CONFIG TASK SEED...'
configs=()
read -r -a configs <<<"${1//,/ }"
[ ${#configs[@]} -gt 0 ] || fail "CONFIG is '$1', expected a preset such as mario_small"
task=$2
shift 2
seeds=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    [[ $1 =~ ^[0-9]+$ ]] || fail "seed is '$1', expected a whole number (flags come after --)"
    seeds+=("$1")
    shift
done
[ ${#seeds[@]} -gt 0 ] || fail 'expected at least one SEED'
if [ $# -gt 0 ]; then shift; fi

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
python=$root/.venv/bin/python
if [ ! -x "$python" ]; then python=python3; fi
logroot=${LOGROOT:-$HOME/logdir}

child=''
stopped=''
stop() {
    stopped=yes
    # Once only: training takes a second signal as a wish to end without saving.
    if [ -n "$child" ]; then kill -TERM "$child" 2>/dev/null || true; fi
    trap '' INT TERM
}
trap stop INT TERM
# A process group of its own for each run, so that Ctrl-C reaches it through `stop` alone.
set -m

failed=()
for seed in "${seeds[@]}"; do
    logdir=$logroot/$task/$seed
    if [ -e "$logdir/done.json" ]; then
        printf 'sweep: %s seed %s: finished before (%s)\n' "$task" "$seed" "$logdir"
        continue
    fi
    printf 'sweep: %s seed %s: %s\n' "$task" "$seed" "$logdir"
    "$python" -m dreamerv2.train --configs "${configs[@]}" --task "$task" --seed "$seed" \
        --logdir "$logdir" "$@" </dev/null &
    child=$!
    code=0
    wait "$child" || code=$?
    if [ -n "$stopped" ]; then
        # The first wait ended with the signal; now wait for the checkpoint.
        wait "$child" 2>/dev/null || true
        printf 'sweep: stopped in seed %s; the same command goes on from here\n' "$seed" >&2
        exit 75
    fi
    child=''
    if [ "$code" = 75 ]; then
        printf 'sweep: seed %s was stopped; the same command goes on from here\n' "$seed" >&2
        exit 75
    elif [ "$code" != 0 ]; then
        printf 'sweep: seed %s failed with exit code %s\n' "$seed" "$code" >&2
        failed+=("$seed")
    fi
done
if [ ${#failed[@]} -gt 0 ]; then
    printf 'sweep: %s: failed seeds: %s\n' "$task" "${failed[*]}" >&2
    exit 1
fi
