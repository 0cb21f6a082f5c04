#!/usr/bin/env bash
# Sets everything up, trains a small agent on a level, and shows it beside one that is trained.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/quickstart.sh [LOGDIR]

Sets everything up, trains the preset mario_small on level 1-1 with five actions for under ten minutes
on two CPU cores, evaluates the agent, and lets one of the zoo play that finishes the level in four of
five episodes. Prints where the learning curve and the videos of both are. So short a run learns little: a good agent takes hours.
LOGDIR defaults to logdir/quickstart beside the README. Ctrl-C stops it with a checkpoint; the same
command resumes from there. Delete LOGDIR to start again.

Environment: QUICKSTART_STEPS  agent steps of 4 frames to train for (default 6000)
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
trained=zoo:mario-1-1-five-actions  # in the same setting
steps=${QUICKSTART_STEPS:-6000}

"$root/scripts/setup.sh"
python=$root/.venv/bin/python
"$python" -m dreamerv2.train --configs mario_small --task mario_1-1 --mario_actions right_only \
    --sticky 0 --prefill 1000 --steps "$steps" --logdir "$logdir"
# Recorded, so that `evaluate.py --step best` has a checkpoint to choose.
"$python" -m dreamerv2.evaluate "$logdir" --episodes 5 --policy sample --record \
    --video "$logdir/play.mp4"
"$python" -m dreamerv2.analysis.plot "$logdir" --out "$logdir/curve.png" >/dev/null
# With this seed it finished the level where that was tried; processors differ in the last digits.
"$python" -m dreamerv2.play "$trained" --seed 4 --video "$logdir/zoo.mp4"

echo
echo "Learning curve: $logdir/curve.png"
echo "Agent playing:  $logdir/play.mp4"
echo "One of the zoo: $logdir/zoo.mp4"
printf 'Watch yours:    %q -m dreamerv2.play %q\n' "$python" "$logdir"
printf 'Watch that one: %q -m dreamerv2.play %q\n' "$python" "$trained"
