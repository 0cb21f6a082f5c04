#!/usr/bin/env bash
# Runs a study and then makes its videos, its figures and its report. Stop it at any time; the same
# command resumes.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/study.sh STUDY.yaml ROOT [FLAGS FOR experiments/study.py]

  scripts/study.sh experiments/mini.yaml ~/logdir/mini
  scripts/study.sh experiments/mini.yaml ~/logdir/mini --dry_run

scripts/mini.sh ROOT and scripts/thesis.sh ROOT do this for these two studies.
TEXT
}

case ${1:-} in
    -h | --help) usage && exit 0 ;;
esac
if [ $# -lt 2 ]; then
    echo 'study: expected STUDY.yaml and ROOT; see scripts/study.sh --help' >&2
    exit 2
fi
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
python=$root/.venv/bin/python
if [ ! -x "$python" ]; then python=python3; fi
study=$1
logdir=$2
shift 2

"$python" "$root/experiments/study.py" "$study" --logdir "$logdir" "$@"
for flag in "$@"; do
    if [ "$flag" = --dry_run ]; then exit 0; fi
done
"$python" "$root/experiments/videos.py" "$logdir"
"$python" "$root/experiments/figures.py" "$logdir"
"$python" "$root/experiments/report.py" "$logdir"
