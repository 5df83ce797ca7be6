#!/bin/sh
# Check the built site in headless Chromium (see check.mjs), where that is installed.
set -eu
here=${0%/*}
site=${1:-_build/html}

skip() {
  echo "check-browser: SKIPPED, $1 is not installed (Debian: apt-get install chromium nodejs npm)"
  exit 0
}

for command in node npm; do
  command -v "$command" >/dev/null || skip "$command"
done
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) ||
  skip chromium
[ -f "$site/search.html" ] || { echo "check-browser: no site at $site: run make book first" >&2; exit 1; }
[ -d "$here/node_modules" ] || npm ci --prefix "$here" --no-audit --no-fund
exec node "$here/check.mjs" "$site" screenshots "$browser"
