#!/usr/bin/env bash
# Sets up .venv: exact versions, an emulator compiled for speed, and this package.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/setup.sh

Makes .venv beside this repository's README: the versions of requirements.lock (with an NVIDIA
driver: requirements-gpu.lock), the NES emulator compiled for speed, and the package itself.
Run it again at any time; with nothing changed it ends at once and needs no network.

Environment: PYTHON=python3.11  the interpreter to use (3.10 to 3.12; default python3)
             GPU=0 or GPU=1     without or with CUDA, whatever driver is there
TEXT
}

fail() {
    printf 'setup: %s\n' "$1" >&2
    exit 2
}

# Hash of what is given on standard input.
hash_of() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

# Major and minor version of an interpreter, such as 3.11; empty where it does not run.
version_of() {
    { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; } |
        grep -Eo '[0-9]+\.[0-9]+' | head -n 1 || true
}

supported() {
    case $1 in 3.10 | 3.11 | 3.12) return 0 ;; *) return 1 ;; esac
}

# with_progress NOTE PACKAGES COMMAND...: runs it with its output in the log, and shows how far it
# is. Foreign output is shown only when it fails.
with_progress() {
    local note=$1 packages=$2 pid started shown=-1 state code
    shift 2
    printf '\n+ %s\n' "$*" >>"$log"
    local offset
    offset=$(wc -l <"$log")
    started=$SECONDS
    "$@" >>"$log" 2>&1 </dev/null &
    pid=$!
    trap 'kill "$pid" 2>/dev/null; printf "\nsetup: stopped; run it again to continue\n" >&2; exit 130' INT TERM
    while kill -0 "$pid" 2>/dev/null; do
        state=$(tail -n "+$offset" "$log" | grep -Ec '^(Collecting|Requirement already)' || true)
        if tail -n "+$offset" "$log" | grep -q '^Installing collected'; then
            state='unpacking'
        elif ((packages)); then
            state="package $state of about $packages"
        else
            state='working'
        fi
        if [ -t 1 ]; then
            printf '\r\033[Ksetup: %s: %s, %d s' "$note" "$state" "$((SECONDS - started))"
        elif (((SECONDS - started) / 30 != shown)); then
            shown=$(((SECONDS - started) / 30))
            printf 'setup: %s: %s, %d s\n' "$note" "$state" "$((SECONDS - started))"
        fi
        sleep 0.2
    done
    code=0
    wait "$pid" || code=$?
    trap - INT TERM
    if [ -t 1 ]; then printf '\r\033[K'; fi
    if ((code)); then
        tail -n 20 "$log" >&2
        printf 'setup: %s failed; all of its output is in %s\n' "$note" "$log" >&2
        exit 1
    fi
    printf 'setup: %s: done in %d s\n' "$note" "$((SECONDS - started))"
}

has_gpu() {
    case ${GPU:-} in
        0) return 1 ;;
        1) return 0 ;;
        '') [ -e /proc/driver/nvidia/version ] || nvidia-smi -L >/dev/null 2>&1 ;;
        *) fail "GPU is '$GPU': expected 0 or 1, or leave it unset" ;;
    esac
}

case ${1:-} in
    '') ;;
    -h | --help) usage && exit 0 ;;
    *) fail "unexpected argument '$1'; see scripts/setup.sh --help" ;;
esac

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
cd -- "$root"
# One set-up at a time: a second one waits here, and then finds everything done.
if command -v flock >/dev/null; then
    exec 9<"$root/scripts/setup.sh"
    flock 9
fi

venv=$root/.venv
log=$venv/setup.log
lock=requirements.lock
if has_gpu; then lock=requirements-gpu.lock; fi
stamp=$venv/setup-stamp

version=''
if [ -x "$venv/bin/python" ]; then version=$(version_of "$venv/bin/python"); fi

# What the packages follow from, the place included because a moved .venv does not work, and what
# the installation of this repository follows from.
recipes=(scripts/setup.sh scripts/build_emulator.py scripts/emulator_{run.cpp,workload.py})
packages_key=$({ printf '%s %s\n' "$root" "$version" && cat "$lock" "${recipes[@]}"; } | hash_of)
self_key=$(cat setup.py pyproject.toml | hash_of)
found=$(cat "$stamp" 2>/dev/null || true)
if [ -n "$version" ] && [ "$found" = "$packages_key $self_key" ]; then exit 0; fi

if ! supported "$version" || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python=${PYTHON:-python3}
    command -v "$python" >/dev/null ||
        fail "$python was not found; install Python 3.10 to 3.12, or name it with PYTHON=/path/to/python3.11"
    version=$(version_of "$python")
    supported "$version" ||
        fail "$python is Python ${version:-of an unknown version}, but 3.10 to 3.12 is needed; name another with PYTHON=/path/to/python3.11"
    found=''
fi
if [ "${found% *}" != "$packages_key" ]; then
    command -v g++ >/dev/null ||
        fail 'g++ was not found, but the NES emulator must be compiled; install a C++ compiler (Debian, Ubuntu: apt install g++; macOS: xcode-select --install)'
fi

if [ -n "${python:-}" ]; then
    rm -rf "$venv"
    mkdir "$venv"
    with_progress "making .venv with Python $version" 0 "$python" -m venv "$venv"
    packages_key=$({ printf '%s %s\n' "$root" "$version" && cat "$lock" "${recipes[@]}"; } | hash_of)
fi
rm -f "$stamp"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PYTHONNOUSERSITE=1
pip=("$venv/bin/python" -m pip install --progress-bar off --no-deps)

if [ "${found% *}" != "$packages_key" ]; then
    # The emulator is taken out of the lock and compiled by itself, for speed.
    emulator=$venv/emulator.lock
    others=$venv/others.lock
    awk '/^[a-z]/ { mine = /^nes-py==/ } mine' "$lock" >"$emulator"
    awk '/^[a-z]/ { mine = /^nes-py==/ } !mine' "$lock" >"$others"
    # What is imported gets compiled then; compiling everything here takes more than a minute.
    with_progress 'installing packages' "$(grep -c '^[a-z]' "$others")" \
        "${pip[@]}" --no-compile --require-hashes -r "$others"
    with_progress 'compiling the emulator' 0 \
        "$venv/bin/python" scripts/build_emulator.py "$emulator"
fi
with_progress 'installing this repository' 0 "${pip[@]}" --no-build-isolation --editable "$root"
if [ -n "${PYTHONDONTWRITEBYTECODE:-}" ]; then
    # Otherwise every command would compile its imports again, which takes ten seconds or more.
    with_progress 'compiling what commands import' 0 env -u PYTHONDONTWRITEBYTECODE \
        "$venv/bin/python" -c 'import dreamerv2.agent, dreamerv2.evaluate, dreamerv2.analysis.plot'
fi
printf '%s %s\n' "$packages_key" "$self_key" >"$stamp"
