#!/usr/bin/env bash
# Schemathesis against the demo: what the contract says holds for whatever anybody sends.
set -euo pipefail
cd "$(dirname "$0")/../.."

[ -x .venv/bin/st ] || { python3 -m venv .venv && .venv/bin/pip install --quiet --disable-pip-version-check -r tests/schemathesis/requirements.txt; }
binary=$(tests/binary.sh)

port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
listen=127.0.0.1:$(port)
log=$(mktemp)
CABINET_LISTEN=$listen CABINET_ADMIN_LISTEN=127.0.0.1:0 CABINET_AUTH__RESEND_MS=0 CABINET_AUTH__ACCESS_TTL_MS=3600000 \
    CABINET_AUTH__SESSIONS_PER_GUEST=100 "$binary" demo --sandbox-listen 127.0.0.1:0 >"$log" 2>&1 &
demo=$!
trap 'kill $demo 2>/dev/null || true; wait $demo 2>/dev/null || true; rm -f "$log"' EXIT
for _ in $(seq 100); do
    grep -q "guests to try" "$log" && break
    sleep 0.1
done

PARTNER_KEY=demo-partner-key-for-trying-out CABINET_URL=http://$listen SCHEMATHESIS_HOOKS=tests/schemathesis/hooks.py PYTHONPATH=. \
    .venv/bin/st --config-file tests/schemathesis/schemathesis.toml run "http://$listen/openapi.json" \
    --max-examples "${EXAMPLES:-30}" --workers 2 --request-timeout 20 --seed 20261124 --generation-database none
