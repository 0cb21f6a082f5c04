#!/usr/bin/env bash
# Runs the thesis study and then makes its figures and its report. Stop it at any time; the same
# command goes on.
set -euo pipefail

if [ $# -lt 1 ] || [ "$1" = -h ] || [ "$1" = --help ]; then
    cat <<'TEXT'
usage: scripts/thesis.sh ROOT [FLAGS FOR experiments/study.py]

  scripts/thesis.sh ~/logdir/thesis
  scripts/thesis.sh ~/logdir/thesis --dry_run
TEXT
    if [ $# -lt 1 ]; then exit 2; fi
    exit 0
fi
logdir=$1
shift
# The folder of a study may be given relative to where the user stands.
case $logdir in /*) ;; *) logdir=$PWD/$logdir ;; esac
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
python=$PWD/.venv/bin/python
if [ ! -x "$python" ]; then python=python3; fi

"$python" experiments/study.py experiments/thesis.yaml --logdir "$logdir" "$@"
for flag in "$@"; do
    if [ "$flag" = --dry_run ]; then exit 0; fi
done
"$python" experiments/figures.py "$logdir"
"$python" experiments/report.py "$logdir"
