#!/usr/bin/env bash
# Makes the virtual environment and installs one requirements file into it: environment.sh VENV REQUIREMENTS
#
# The file is copied into the environment when all of it is installed; the Makefile compares the two and does nothing
# when they agree. An install that was interrupted leaves no copy and is taken up again.
set -euo pipefail
venv=$1 requirements=$2

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    for python in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
        [ -n "$python" ] || continue
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break
        python=""
    done
    if [ -z "$python" ]; then
        echo "Peringkat needs Python 3.11 or newer, and none was found. Install one, or name it: make PYTHON=/path/to/python3.11 run" >&2
        exit 1
    fi
    echo "Making the environment in $venv with $("$python" --version)."
    if ! "$python" -m venv --clear "$venv"; then
        echo "This Python cannot make virtual environments. On Debian or Ubuntu: apt-get install python3-venv" >&2
        exit 1
    fi
fi

echo "Installing $requirements (the first time this takes some minutes)."
pip() { "$venv/bin/python" -m pip --disable-pip-version-check install --quiet "$@"; }
# torch alone first: where pip is configured to find a build of it for this machine (CPU only, say), nothing may draw another.
pip "$(grep -m1 '^torch==' requirements.txt)"
pip -r "$requirements"
cp "$requirements" "$venv/$(basename "$requirements")"
