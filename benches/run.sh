#!/usr/bin/env bash
# Measures the hot path side by side: a bare hyper server, the cabinet as configured by default, the cabinet with a full access log,
# nginx' cache without any authorization, and Fastify as most people would write it and as tuned as it gets (when there is npm). Rounds are
# interleaved; what counts are the ratios within one run. Then: how long a start takes.
# Needs wrk and nginx (Debian packages wrk, nginx-light). Servers run on the first core, the load on the second.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${ROUNDS:-5} seconds=${SECONDS_PER_ROUND:-5} connections=${CONNECTIONS:-64}

for tool in wrk nginx; do
    command -v $tool >/dev/null || { echo "needed: $tool (apt-get install wrk nginx-light)"; exit 1; }
done
binary=$(tests/binary.sh --release)
cargo build --release --quiet --bench baseline
baseline=$(ls -t "$(dirname "$binary")"/deps/baseline-* | grep -v '\.d$' | head -n 1)

work=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; rm -rf "$work"' EXIT
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# A cabinet over its own sandbox, warm for an hour; prints its address and a token.
cabinet() {
    local name=$1 listen=127.0.0.1:$(port)
    shift
    env CABINET_LISTEN=$listen CABINET_ADMIN_LISTEN=127.0.0.1:0 CABINET_CACHE__PROFILE_FRESH_MS=3600000 \
        CABINET_CACHE__BALANCE_FRESH_MS=3600000 CABINET_CACHE__TRANSACTIONS_FRESH_MS=3600000 CABINET_AUTH__ACCESS_TTL_MS=3600000 \
        TOKIO_WORKER_THREADS=1 "$@" taskset -c 0 "$binary" demo --sandbox-listen 127.0.0.1:0 >"$work/$name.log" 2>"$work/$name.err" &
    pids+=($!)
    for _ in $(seq 100); do grep -q "guests to try" "$work/$name.log" && break; sleep 0.1; done
    local id code token
    id=$(curl -s "http://$listen/api/v1/auth/challenges" -H 'Content-Type: application/json' -d '{"phone":"+79160000007"}' | python3 -c 'import json,sys; print(json.load(sys.stdin)["challenge_id"])')
    sleep 0.5
    code=$(curl -s "http://$listen/demo/codes" | python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["code"])')
    token=$(curl -s "http://$listen/api/v1/auth/challenges/$id/verify" -H 'Content-Type: application/json' -d "{\"code\":\"$code\",\"session\":\"bearer\"}" | python3 -c 'import json,sys; print(json.load(sys.stdin)["access_token"])')
    curl -s "http://$listen/api/v1/me/coupons" -H "Authorization: Bearer $token" >"$work/body.json"
    echo "$listen $token" >"$work/$name.address"
}

cabinet default
cabinet logged CABINET_TELEMETRY__ACCESS_LOG=true CABINET_TELEMETRY__FORMAT=json
read -r default_at default_token <"$work/default.address"
read -r logged_at logged_token <"$work/logged.address"

base_at=127.0.0.1:$(port)
taskset -c 0 "$baseline" "$base_at" "$work/body.json" &
pids+=($!)

nginx_at=127.0.0.1:$(port) origin_at=127.0.0.1:$(port)
taskset -c 1 "$baseline" "$origin_at" "$work/body.json" &
pids+=($!)
mkdir -p "$work/nginx"
cat >"$work/nginx.conf" <<CONF
$([ "$(id -u)" -eq 0 ] && echo "user root;")
worker_processes 1; pid $work/nginx.pid; error_log $work/nginx.err; daemon off;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path $work/nginx/b; proxy_temp_path $work/nginx/p; fastcgi_temp_path $work/nginx/f; uwsgi_temp_path $work/nginx/u; scgi_temp_path $work/nginx/s;
  proxy_cache_path $work/nginx/cache keys_zone=views:10m;
  server { listen $nginx_at; location / { proxy_pass http://$origin_at; proxy_cache views; proxy_cache_valid 200 1h; proxy_ignore_headers Cache-Control; } }
}
CONF
taskset -c 0 nginx -e "$work/nginx.err" -c "$work/nginx.conf" &
pids+=($!)
sleep 1

plain_at="" tuned_at=""
if command -v npm >/dev/null; then
    cp benches/fastify.mjs "$work/"
    if (cd "$work" && npm install --silent --no-audit --no-fund fastify@5 @fastify/jwt@10 >/dev/null 2>&1); then
        plain_at=127.0.0.1:$(port) tuned_at=127.0.0.1:$(port)
        for kind in plain tuned; do
            at=${kind}_at
            (cd "$work" && exec taskset -c 0 node fastify.mjs $kind "${!at}" body.json >"$kind.log" 2>&1) &
            pids+=($!)
        done
        sleep 2
        plain_token=$(curl -s "http://$plain_at/token")
    fi
fi

measure() { # name, address, token
    taskset -c 1 wrk -t1 -c"$connections" -d"${seconds}s" --latency -H "Authorization: Bearer $3" "http://$2/api/v1/me/coupons" |
        python3 -c '
import re, sys
text = sys.stdin.read()
unit = {"us": 1e-3, "ms": 1, "s": 1e3}
rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
value, word = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
print(sys.argv[1], rate, float(value) * unit[word], bad[1] if bad else 0)' "$1" >>"$work/results"
}
for round in $(seq "$rounds"); do
    echo "round $round of $rounds"
    measure hyper "$base_at" x
    measure cabinet "$default_at" "$default_token"
    measure logged "$logged_at" "$logged_token"
    measure nginx "$nginx_at" x
    if [ -n "$plain_at" ]; then
        measure fastify "$plain_at" "$plain_token"
        measure tuned "$tuned_at" x
    fi
done

# From exec to the first answer of /health/ready, over a state file that is there already.
starts() {
    mkdir -p "$work/start"
    for _ in $(seq 11); do
        env CABINET_SECRET=a-master-secret-for-benches-of-enough-bytes CABINET_STORE__URL="sqlite://$work/start/state.db" \
            CABINET_PROBONUS__URL=http://127.0.0.1:9 CABINET_PROBONUS__TOKEN=t CABINET_DELIVERY__GATEWAYS=webhook \
            CABINET_DELIVERY__WEBHOOK__URL=http://127.0.0.1:9/ CABINET_DELIVERY__WEBHOOK__SECRET=whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE= \
            CABINET_LISTEN=127.0.0.1:0 CABINET_ADMIN_LISTEN="127.0.0.1:$(port)" python3 benches/start.py "$binary"
    done
}
starts >"$work/starts"

python3 - "$work/results" "$work/body.json" "$work/starts" <<'PY'
import collections, os, statistics, sys
rows = collections.defaultdict(list)
for line in open(sys.argv[1]):
    name, rate, p99, bad = line.split()
    assert int(bad) == 0, line
    rows[name].append((float(rate), float(p99)))
base = [rate for rate, _ in rows["hyper"]]
print(f"\nbody of {os.path.getsize(sys.argv[2])} bytes; share of bare hyper in the same round: min / median / max; p99 against hyper's")
for name, values in rows.items():
    shares = sorted(rate / other for (rate, _), other in zip(values, base))
    tail = statistics.median(p99 for _, p99 in values) / statistics.median(p99 for _, p99 in rows["hyper"])
    print(f"  {name:8} {shares[0]:.2f} / {statistics.median(shares):.2f} / {shares[-1]:.2f}   p99 × {tail:.2f}   ({statistics.median(rate for rate, _ in values):.0f}/s)")
cabinet = [rate for rate, _ in rows["cabinet"]]
for name in rows:
    if name not in ("hyper", "cabinet", "logged"):
        times = sorted(rate / other for rate, (other, _) in zip(cabinet, rows[name]))
        print(f"  the cabinet is {times[0]:.2f} / {statistics.median(times):.2f} / {times[-1]:.2f} times {name}")
# The first start makes the state file.
starts = sorted(float(line) for line in list(open(sys.argv[3]))[1:])
print(f"start to ready: {starts[0]:.0f} / {statistics.median(starts):.0f} / {starts[-1]:.0f} ms")
PY
