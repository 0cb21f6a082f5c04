#!/usr/bin/env bash
# Trains several tasks with several seeds; see scripts/sweep.sh --help.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
python=$root/.venv/bin/python
if [ ! -x "$python" ]; then python=python3; fi
exec "$python" "$root/experiments/sweep.py" "$@"
