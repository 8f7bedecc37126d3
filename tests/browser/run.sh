#!/usr/bin/env bash
# Drives the web cabinet in Debian's Chromium: installs what is missing, checks the page against the contract's types, then uses the page
# as guests do. Screenshots of every screen are left in tests/browser/screens.
set -euo pipefail
cd "$(dirname "$0")"

need() {
    local missing=()
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    local root=""
    if [ "$(id -u)" -ne 0 ]; then root=sudo; fi
    if ! (DEBIAN_FRONTEND=noninteractive $root apt-get install -y --no-install-recommends "${missing[@]}" ||
        ($root apt-get update && DEBIAN_FRONTEND=noninteractive $root apt-get install -y --no-install-recommends "${missing[@]}")) >/tmp/browser-apt.log 2>&1; then
        tail -n 20 /tmp/browser-apt.log
        echo "These Debian packages are needed and could not be installed: ${missing[*]}"
        exit 1
    fi
}

need chromium fonts-inter
command -v node >/dev/null && command -v npm >/dev/null || need nodejs npm

npm ci --no-audit --no-fund --loglevel=error
npm run --silent types
npm run --silent check

GUEST_CABINET=$(../binary.sh)
export GUEST_CABINET
rm -rf screens
npm run --silent test
