#!/usr/bin/env bash
# Runs the mini study, two runs at a time, with its figures and report: scripts/mini.sh ROOT [FLAGS].
# See scripts/study.sh --help.
set -euo pipefail

scripts=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
case ${1:-} in
    -h | --help) exec "$scripts/study.sh" --help ;;
esac
if [ $# -eq 0 ]; then exec "$scripts/study.sh"; fi
root=$1
shift
exec "$scripts/study.sh" "$scripts/../experiments/mini.yaml" "$root" --jobs 2 "$@"
