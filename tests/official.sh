#!/bin/sh
# Holds the server against the official schemas of every revision:
#     tests/official.sh CHECKER_DIRECTORY SERVER_BINARY
# The directory has schema_check.py and scripts/*.jsonl. Exit 1 on any violation, 2 when the check cannot run.
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
python3 -c 'import jsonschema' || { echo "this check needs python3 and jsonschema: pip install jsonschema" >&2; exit 2; }

failed=0
run() {
    echo "== $*"
    python3 "$check" --strict "$@" -- "$server" || failed=1
}

for revision in 2024-11-05 2025-03-26 2025-06-18 2025-11-25 2026-07-28; do
    run --probe "$revision"
    # A result, an error that a model can act on, and an error of the request.
    run --probe "$revision" --call list_active_connections '{}'
    run --probe "$revision" --call close_connection '{"session_id":"none"}'
    run --probe "$revision" --call establish_connection '{"connection_string":"mqtt://127.0.0.1:1"}'
done

scripts=0
steps=$(mktemp)
trap 'rm -f "$steps"' EXIT
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

exit $failed
