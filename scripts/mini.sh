#!/usr/bin/env bash
# Runs the mini study with its figures and report: scripts/mini.sh ROOT; see scripts/study.sh --help.
set -euo pipefail

scripts=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
case ${1:-} in
    -h | --help) exec "$scripts/study.sh" --help ;;
esac
exec "$scripts/study.sh" "$scripts/../experiments/mini.yaml" "$@"
