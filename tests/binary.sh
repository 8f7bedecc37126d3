#!/usr/bin/env bash
# Builds the program and prints where it is, wherever this machine's cargo puts it. Arguments go to cargo: `--release`.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --bin guest-cabinet --message-format=json "$@" | python3 -c '
import json, sys
made = [json.loads(line) for line in sys.stdin if line.startswith("{")]
print([made["executable"] for made in made if made.get("executable")][-1])'
