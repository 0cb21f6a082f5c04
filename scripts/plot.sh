#!/usr/bin/env bash
# Draws return over frames per task, mean and band over seeds, from the logdirs under a folder.
set -euo pipefail

usage() {
    cat <<'END'
Usage: scripts/plot.sh ROOT [options]

Draws return over frames, one panel per task, from every logdir at or under ROOT, including runs
in progress. Runs that differ in the seed are one line: their mean with a 95 % confidence band.
Writes a PNG, an SVG and a CSV of the numbers and prints their paths.

  --metric NAME    what to draw: train_return, train_return/3-1, eval_return, image_loss, ...
  --out FILE.png   where to write (default: ROOT/plot_METRIC.png)
  --window N       values that a point is smoothed over (20 for training episodes, else 1)
  --bins N         points of a curve (50)

Example: scripts/plot.sh ~/logdir --metric eval_return
END
}

case "${1-}" in
    -h | --help)
        usage
        exit 0
        ;;
    '')
        echo 'plot: ROOT, the folder with the logdirs, is missing; see scripts/plot.sh -h' >&2
        exit 2
        ;;
esac

repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
python="$repository/.venv/bin/python"
if [[ ! -x "$python" ]]; then
    echo "plot: no $python; run $repository/scripts/setup.sh first" >&2
    exit 2
fi
PYTHONPATH="$repository${PYTHONPATH:+:$PYTHONPATH}" exec "$python" -m dreamerv2.analysis.plot "$@"
