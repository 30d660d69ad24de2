#!/usr/bin/env bash
# Writes src/order.ld anew: which functions run until a client has the list of tools, and which ones the everyday work on
# a broker needs. The linker puts them side by side (src/build.rs), since the kernel maps a program's code in pieces of
# 64 KiB around what is touched. Needs valgrind, Mosquitto and openssl.
#
#     bash benches/order.sh [BINARY ...]
#
# Further binaries, built for another target with MQTT_MCP_UNORDERED=1 and CARGO_PROFILE_RELEASE_STRIP=none, add what
# runs in them.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/sbin"
place=$PWD/target/order
mkdir -p "$place"

: "${PORT:=18899}"
: "${TLS_PORT:=18898}"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$place/key.pem" -out "$place/own.pem" \
    -days 30 -subj /CN=order -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE 2>/dev/null
cat >"$place/mosquitto.conf" <<END
allow_anonymous true
user root
listener $PORT 127.0.0.1
listener $TLS_PORT 127.0.0.1
certfile $place/own.pem
keyfile $place/key.pem
END
mosquitto -c "$place/mosquitto.conf" >"$place/mosquitto.log" 2>&1 &
broker=$!
trap 'kill "$broker"' EXIT

# profile NAME COMMAND: runs the server under callgrind with the words of COMMAND, a function that gets its pipes.
profile() {
    local counts=$place/$1.callgrind
    coproc server { SSL_CERT_FILE=$place/own.pem valgrind --tool=callgrind --demangle=no --dump-instr=yes --callgrind-out-file="$counts" \
        "$binary" 2>"$place/valgrind.log"; }
    local pid=$server_PID to=${server[1]} from=${server[0]}
    "$2"
    exec {to}>&-
    wait "$pid"
    functions_of "$counts" >"$place/$1.functions"
}

ask() { printf '{"jsonrpc":"2.0","id":1,"method":"%s","params":%s}\n' "$1" "$2" >&"$to" && read -r answer <&"$from"; }

starting() {
    ask initialize '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"order","version":"1"}}'
    ask tools/list '{}'
}

working() {
    starting
    for _ in 1 2; do
        ask establish_connection "{\"connection_string\":\"mqtt://127.0.0.1:$PORT\"}"
        session=$(sed 's/.*"session_id":"\([^"]*\)".*/\1/' <<<"$answer")
    done
    for qos in 0 1 2; do
        ask publish_message "{\"session_id\":\"$session\",\"topic\":\"order/$qos\",\"payload\":{\"n\":1.5,\"s\":\"x\"},\"qos\":$qos,\"retain\":true}"
    done
    ask list_topics "{\"session_id\":\"$session\",\"duration_seconds\":1}"
    ask tools/call "{\"name\":\"subscribe_and_collect\",\"arguments\":{\"session_id\":\"$session\",\"topic_pattern\":\"#\",\"duration_seconds\":1,\"qos\":2}}"
    ask list_active_connections '{}'
    ask close_connection "{\"session_id\":\"$session\"}"
}

secure() {
    starting
    ask establish_connection "{\"connection_string\":\"mqtts://localhost:$TLS_PORT\"}"
    session=$(sed 's/.*"session_id":"\([^"]*\)".*/\1/' <<<"$answer")
    ask publish_message "{\"session_id\":\"$session\",\"topic\":\"order\",\"payload\":1,\"qos\":1}"
    ask close_connection "{\"session_id\":\"$session\"}"
}

# The mangled names of our own functions that ran, with what differs between compilers, and long ends, as a wildcard.
functions_of() {
    awk -v binary="$binary" '
        match($0, /^(fn|ob)=\([0-9]+\)/) {
            kind = substr($0, 1, 2); id = substr($0, RSTART, RLENGTH); name = substr($0, RLENGTH + 2)
            if (name != "") names[id] = name
            if (kind == "ob") ours = names[id] == binary; else function_name = names[id]
            next
        }
        match($0, /^cfn=\([0-9]+\)/) { id = substr($0, 2, RLENGTH - 1); if (length($0) > RLENGTH) names[id] = substr($0, RLENGTH + 2) }
        match($0, /^cob=\([0-9]+\)/) { id = substr($0, 2, RLENGTH - 1); if (length($0) > RLENGTH) names[id] = substr($0, RLENGTH + 2) }
        /^(0x|\+|-|\*)/ && ours && function_name !~ /^(0x|\()/ { print function_name }' "$1" |
        sed -E "s/'[0-9]+$//; s/\.(llvm\.)?[0-9]+$//; s/17h[0-9a-f]{16}E/17h*/g; s/(Cs|B)[0-9A-Za-z]*_/\1*_/g; s/[$]/?/g" | cut -c1-100 | sort -u
}

# Compilers put what they take for cold into sections of another name.
section() {
    echo "  .text.$1 : {"
    if [ "$1" = start ]; then
        echo "    *crt1.o(.text .text.*) *crti.o(.text .text.*) *crtbegin*.o(.text .text.*) *compiler_rt*:*(.text .text.*)"
        # What runs before the profiler sees it.
        echo "    *(.text.__libc_start_main .text.libc_start_main_stage2 .text.static_init_tls .text.dummy)"
        echo "    *libc.a:*__set_thread_area.o(.text)"
    fi
    sed -nE '/^(_ZN|_R)/s/(.*[^*])[*]?/    *(.text*\1*)/p' "$2"
    # Of a C library that is linked in, a function is a section or a file.
    sed -nE '/^(_ZN|_R)/d; s/^[A-Za-z0-9_]+$/    *(.text.&) *libc.a:&.o(.text .text.*)/p' "$2"
    echo "  }"
}

# Compilers differ in how they name functions: both ways are listed.
build() {
    MQTT_MCP_UNORDERED=1 CARGO_PROFILE_RELEASE_STRIP=none \
        cargo build --locked --release --bin mqtt-mcp --target-dir "$place/$1" "${@:2}"
}
build default
build v0 --config 'build.rustflags=["-Csymbol-mangling-version=v0"]'

rm -f "$place"/*.functions
count=0
for binary in "$place"/{default,v0}/release/mqtt-mcp "$@"; do
    count=$((count + 1))
    binary=$(realpath "$binary")
    profile "start-$count" starting
    profile "work-$count" working
    profile "tls-$count" secure
done
sort -u "$place"/start-*.functions >"$place/start"
sort -u "$place"/work-*.functions | comm -23 - "$place/start" >"$place/work"
sort -u "$place"/tls-*.functions | comm -23 - <(sort "$place/start" "$place/work") >"$place/tls"
{
    echo "/* Written by benches/order.sh, which says what it is for. Names that are not there do no harm. */"
    echo "SECTIONS {"
    section start "$place/start"
    section work "$place/work"
    section tls "$place/tls"
    echo "}"
    echo "INSERT BEFORE .text;"
    # What is for cryptography and for panics alone lies between constants that are always in use.
    echo "SECTIONS {"
    echo "  .rodata.tables : { *libring-*.rlib:*(.rodata .rodata.*) }"
    echo "  .gcc_except_table : { *(.gcc_except_table .gcc_except_table.*) }"
    echo "}"
    echo "INSERT AFTER .rodata;"
} >src/order.ld
wc -l "$place/start" "$place/work" "$place/tls" >&2
