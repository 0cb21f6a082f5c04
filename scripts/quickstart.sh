#!/usr/bin/env bash
# Sets everything up, trains a small agent on a level, and shows what it learned.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/quickstart.sh [LOGDIR]

Sets everything up, trains the preset mario_small on level 1-1 for ten to twenty minutes on two
CPU cores, evaluates the agent, and prints where the learning curve and a video of it playing are.
LOGDIR defaults to logdir/quickstart beside the README. Ctrl-C stops it with a checkpoint; the same
command resumes from there. Delete LOGDIR to start again.

Environment: QUICKSTART_STEPS  agent steps of 4 frames to train for (default 16000)
TEXT
}

case ${1:-} in
    -h | --help) usage && exit 0 ;;
esac
if [ $# -gt 1 ]; then
    echo 'quickstart: expected at most one argument, a folder; see scripts/quickstart.sh --help' >&2
    exit 2
fi
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
logdir=${1:-$root/logdir/quickstart}
steps=${QUICKSTART_STEPS:-16000}

"$root/scripts/setup.sh"
python=$root/.venv/bin/python
"$python" -m dreamerv2.train --configs mario_small --task mario_1-1 --steps "$steps" \
    --logdir "$logdir"
# Recorded, so that `evaluate.py --step best` has a checkpoint to choose.
"$python" -m dreamerv2.evaluate "$logdir" --episodes 5 --policy sample --record \
    --video "$logdir/play.mp4"
"$python" -m dreamerv2.analysis.plot "$logdir" --out "$logdir/curve.png" >/dev/null

echo
echo "Learning curve: $logdir/curve.png"
echo "Agent playing:  $logdir/play.mp4"
printf 'Watch it:       %q -m dreamerv2.play %q\n' "$python" "$logdir"
printf 'One that finishes the level: %q -m dreamerv2.play zoo:mario-1-1-five-actions\n' "$python"
