#!/usr/bin/env bash
# Runs every test there is, on a bare Debian machine with a Rust toolchain: installs what is missing, starts its own PostgreSQL on a
# free port, and stops what it started. `tests/run.sh quick` leaves out what needs a browser or a fuzzer.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
pg_bin=""
root=""
if [ "$(id -u)" -ne 0 ]; then root=sudo; fi
step() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

clean_up() {
    if [ -n "$pg_bin" ] && [ -d "$work/pg/data" ]; then
        as_postgres "$pg_bin/pg_ctl" -D "$work/pg/data" -m immediate -w stop >/dev/null 2>&1 || true
    fi
    rm -rf "$work"
}
trap clean_up EXIT

# Installs the Debian packages that are missing; as anybody but root that is left to the operator.
need() {
    local missing=()
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    if ! (DEBIAN_FRONTEND=noninteractive $root apt-get install -y --no-install-recommends "${missing[@]}" ||
        ($root apt-get update && DEBIAN_FRONTEND=noninteractive $root apt-get install -y --no-install-recommends "${missing[@]}")) >"$work/apt.log" 2>&1; then
        tail -n 20 "$work/apt.log"
        echo "These Debian packages are needed and could not be installed: ${missing[*]}"
        exit 1
    fi
}

# PostgreSQL refuses to run as root.
as_postgres() {
    if [ "$(id -u)" -eq 0 ]; then setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@"; else "$@"; fi
}

start_postgres() {
    need postgresql
    pg_bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    mkdir -p "$work/pg"
    chmod 755 "$work"
    if [ "$(id -u)" -eq 0 ]; then chown postgres: "$work/pg"; fi
    local port
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    as_postgres "$pg_bin/initdb" -D "$work/pg/data" -A trust -U postgres --encoding=UTF8 --locale=C --no-sync >/dev/null
    as_postgres "$pg_bin/pg_ctl" -D "$work/pg/data" -l "$work/pg/log" -w start \
        -o "-p $port -k $work/pg -c listen_addresses=127.0.0.1 -c max_connections=400 -c fsync=off" >/dev/null
    export TEST_POSTGRES_URL="postgres://postgres@127.0.0.1:$port/postgres"
}

# `promtool` replays the alert rules. Unpacked only: installed, the package would start a server of its own.
need_promtool() {
    command -v promtool >/dev/null && return
    (cd "$work" && { apt-get download prometheus || { $root apt-get update && apt-get download prometheus; }; }) >"$work/apt.log" 2>&1 ||
        { tail -n 20 "$work/apt.log"; echo "needed: promtool (Debian package prometheus)"; exit 1; }
    dpkg-deb -x "$work"/prometheus_*.deb "$work/prometheus"
    export PATH="$work/prometheus/usr/bin:$PATH"
}

# A toolchain installed with rustup's smallest profile has neither.
need_component() {
    cargo "$1" --version >/dev/null 2>&1 || rustup component add "$2"
}

step "Packages"
need build-essential python3 python3-venv
need_promtool
need_component fmt rustfmt
need_component clippy clippy

step "Format"
cargo fmt --check

step "Build"
cargo build --all-targets

step "Lints"
cargo clippy --all-targets -- -D warnings

step "PostgreSQL"
start_postgres

step "Unit and integration tests, on SQLite and PostgreSQL"
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --no-fail-fast
else
    cargo test --no-fail-fast
fi

if [ "${1:-}" != quick ]; then
    for part in tests/schemathesis/run.sh tests/browser/run.sh; do
        step "$part"
        bash "$part"
    done
fi

step "All tests passed"
