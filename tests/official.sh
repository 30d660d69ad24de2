#!/bin/sh
# Holds the server against the official schemas of every revision, lets the official Python client work with it, and holds
# the schemas that it infers against a validator:
#     tests/official.sh CHECKER_DIRECTORY SERVER_BINARY
# The directory has schema_check.py, tee.py, py_client.py and scripts/*.jsonl. The Python packages go into an environment of
# their own, target/checkers. Exit 1 on any violation, 2 when the check cannot run.
set -u

if [ $# -ne 2 ]; then
    echo "usage: $0 CHECKER_DIRECTORY SERVER_BINARY" >&2
    exit 2
fi
checkers=$1
server=$2
check=$checkers/schema_check.py

[ -f "$check" ] || { echo "$check is missing" >&2; exit 2; }
[ -x "$server" ] || { echo "$server cannot be run" >&2; exit 2; }
home=$(cd "$(dirname "$0")/.." && pwd)
python=$home/target/checkers/bin/python3
"$python" -c 'import jsonschema, mcp' 2>/dev/null || {
    python3 -m venv "$home/target/checkers" && "$home/target/checkers/bin/pip" install --quiet jsonschema 'mcp==2.3.0'
} || { echo "this check needs python3 with venv, and its packages jsonschema and mcp" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

failed=0
run() {
    echo "== $*"
    "$python" "$check" --strict "$@" -- "$server" || failed=1
}

transcript() {
    "$python" "$check" --quiet --strict --transcript "$1" || { echo "FAILED: $1"; failed=1; }
}

for revision in 2024-11-05 2025-03-26 2025-06-18 2025-11-25 2026-07-28; do
    run --probe "$revision"
    # A result, an error that a model can act on, and an error of the request.
    run --probe "$revision" --call list_active_connections '{}'
    run --probe "$revision" --call close_connection '{"session_id":"none"}'
    run --probe "$revision" --call establish_connection '{"connection_string":"mqtt://127.0.0.1:1"}'
done

scripts=0
steps=$work/steps
for script in "$checkers"/scripts/*.jsonl; do
    [ -f "$script" ] || continue
    scripts=$((scripts + 1))
    case $script in
    # The checker calls a batch before the handshake a violation, also where this script asks for one. What it asks for
    # there is a test of its own in it/jsonrpc.rs, so the script begins with its handshake.
    */batch_*) sed -n '/"call": *\["initialize"/,$p' "$script" >"$steps" ;;
    *) cat "$script" >"$steps" ;;
    esac
    echo "== $script"
    run --script "$steps"
done
[ "$scripts" -gt 0 ] || { echo "no script in $checkers/scripts" >&2; exit 2; }

# The official client, with what it heard held against the schemas.
client() {
    echo "== $1 $2"
    log=$work/$(basename "$1" .py)$2.jsonl
    script=$1
    shift
    "$python" "$script" "$@" "$python" "$checkers/tee.py" "$log" -- "$server" >"$work/out" 2>&1 || { cat "$work/out"; failed=1; }
    transcript "$log"
}
for mode in --legacy --modern --compact; do
    client "$checkers/py_client.py" $mode --all --call list_active_connections '{}' --read mqtt://sessions \
        --prompt debug_device '{"device_id":"pump1"}' --complete explore_broker session_id '' --
done
for mode in legacy modern; do
    client "$home/tests/official/conversation.py" $mode
done

# All that the tests make the server say. Left out are those that race with a cancellation: what is said before the
# server reads it cannot be told from what is said after by who stands between them.
echo "== transcripts of the tests"
mkdir "$work/said"
(cd "$home" && MQTT_MCP_TRANSCRIPTS=$work/said cargo test --locked --quiet --test it -- \
    checklist:: listen:: prompts:: resources:: watches:: --skip race --skip after_its_cancel >"$work/out" 2>&1) ||
    { cat "$work/out"; failed=1; }
for log in "$work"/said/*.jsonl; do
    [ -s "$log" ] && transcript "$log"
done

echo "== inferred schemas"
least=1000 # of 1,200, so that it cannot pass where none were written
(cd "$home" && MQTT_MCP_SCHEMAS=yes cargo test --locked --quiet --lib -- --nocapture every_schema_accepts >"$work/out" 2>&1 &&
    grep '^{"schema"' "$work/out" >"$work/inferred" &&
    "$python" tests/official/inferred.py "$work/inferred" $least) || { tail -n 20 "$work/out"; failed=1; }

exit $failed
