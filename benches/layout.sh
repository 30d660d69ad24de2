#!/usr/bin/env bash
# Builds a static binary in which the functions that run first lie side by side: half the resident memory, same code.
#
#     benches/layout.sh aarch64-unknown-linux-musl [arguments for cargo build]
#
# The kernel maps a file in pieces of 64 KiB. What starting and waiting need is a tenth of the program, but in the order
# of the source it touches nearly every piece. So: build, let qemu-user tell what runs (also for other processors), build
# again with that order. Symbols are the same both times because the flags are: what differs is in a file of arguments
# for the linker. Needs qemu-user-static, readelf and Mosquitto; the linker is the one of .cargo/config.toml.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:?the target, such as aarch64-unknown-linux-musl}
shift

case $target in
    x86_64-*) qemu=qemu-x86_64-static ;;
    aarch64-*) qemu=qemu-aarch64-static ;;
    arm*) qemu=qemu-arm-static ;;
    *) echo "no emulator known for $target" >&2; exit 2 ;;
esac
out=${CARGO_TARGET_DIR:-target}
work=$(mkdir -p "$out/layout" && cd "$out/layout" && pwd)
binary=$out/$target/release/mqtt-mcp
# The order is this build's own, not that of src/order.ld, which has to fit many.
export CARGO_PROFILE_RELEASE_STRIP=none MQTT_MCP_UNORDERED=1

build() {
    touch src/main.rs
    cargo build --locked --release --target "$target" --bin mqtt-mcp \
        --config "target.$target.rustflags=[\"-Clink-arg=@$work/arguments\"]" "$@"
}

# Functions in the order in which they ran: each address belongs to the last symbol at or below it.
functions_in() {
    {
        readelf -sW "$binary" | awk '$4 == "FUNC" && $7 != "UND" { print $2, "a", $8 }'
        sed -n 's|.*\[[0-9a-f]*/\([0-9a-f]*\)/.*|\1|p' "$1" | awk '!seen[$1]++ { print $1, "b", NR }'
    } | sort | awk '$2 == "a" { name = $3 } $2 == "b" && name != "" { print $3, name }' | sort -n | awk '!seen[$2]++ { print $2 }'
}

# Runs the binary under qemu and writes what it executes to a file; its stdin and stdout are ours.
traced() { "$qemu" -d exec,nochain -D "$1" "$binary"; }

request() { printf '{"jsonrpc":"2.0","id":1,"method":"%s","params":%s}\n' "$1" "$2"; }
initialize() {
    request initialize '{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"layout","version":"0"}}'
}

# What a client does first, and then a session with a message.
run() {
    initialize | traced "$work/start" > /dev/null
    local port=$((20000 + RANDOM % 20000)) session
    PATH=$PATH:/usr/sbin mosquitto -p "$port" > /dev/null 2>&1 &
    broker=$!
    trap 'kill "$broker"' EXIT
    until (: < "/dev/tcp/127.0.0.1/$port") 2> /dev/null; do
        kill -0 "$broker" || { echo "Mosquitto does not start" >&2; exit 1; }
    done
    coproc server { traced "$work/session"; }
    initialize >&"${server[1]}"
    request tools/list '{}' >&"${server[1]}"
    request establish_connection "{\"connection_string\":\"mqtt://127.0.0.1:$port\"}" >&"${server[1]}"
    while [ -z "${session:-}" ]; do
        read -r -u "${server[0]}" line
        session=$(sed -n 's/.*"session_id":"\([^"]*\)".*/\1/p' <<< "$line")
    done
    request publish_message "{\"session_id\":\"$session\",\"topic\":\"layout\",\"payload\":1,\"qos\":1}" >&"${server[1]}"
    read -r -u "${server[0]}" line
    local ended=$server_PID
    exec {server[1]}>&-
    wait "$ended"
}

: > "$work/arguments"
build "$@"
run
{ functions_in "$work/start"; functions_in "$work/session"; } | awk '!seen[$1]++' > "$work/order"
echo "$(wc -l < "$work/order") functions run first" >&2
printf '%s\n' --strip-all --no-warn-symbol-ordering "--symbol-ordering-file=$work/order" > "$work/arguments"
build "$@"
ls -l "$binary"
