#!/usr/bin/env bash
# Sees to it that the browser tests find a Chromium: browser.sh VENV
set -euo pipefail
python=$1/bin/python

found() { "$python" -m tests.browser 2>/dev/null; }

found >/dev/null && exit 0
echo "No Chromium was found; installing one for the browser tests."
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get install -y -qq chromium || { apt-get update -qq && apt-get install -y -qq chromium; }; } >/dev/null || true
fi
found >/dev/null || "$python" -m playwright install chromium || true
if ! found >/dev/null; then
    echo "The browser tests need Chromium, and it could not be installed. Install chromium or google-chrome," >&2
    echo "or name one: PERINGKAT_BROWSER=/path/to/chrome make test" >&2
    exit 1
fi
