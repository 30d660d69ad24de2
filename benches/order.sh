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

# A session for each of the URLs, at most five.
establish() {
    for url in "$@"; do
        ask tools/call "{\"name\":\"establish_connection\",\"arguments\":{\"connection_string\":\"$url\"}}"
        session=$(sed 's/.*"session_id":"\([^"]*\)".*/\1/' <<<"$answer")
    done
}

connecting() {
    starting
    # The broker listens on one of the two addresses of that name, as many do.
    establish mqtt://{127.0.0.1,localhost,localhost,127.0.0.1,localhost}:"$PORT"
    for qos in 0 1 2; do
        ask publish_message "{\"session_id\":\"$session\",\"topic\":\"order/$qos\",\"payload\":{\"n\":1.5,\"s\":\"x\"},\"qos\":$qos,\"retain\":true}"
    done
}

# Readings and text on many topics, more than a collection keeps.
traffic() {
    # The profiler makes subscribing take its time.
    sleep 3
    for topic in {1..80}; do
        for number in 1 2 3; do
            echo "{\"temperature\":$number.5,\"unit\":\"C\",\"ok\":true,\"error\":null,\"list\":[1,{\"n\":-$number}],\"text\":\"a \\\"b\\\"\"}"
            echo "reading $number of topic $topic"
            printf '%040000d\n' "$number"
        done | mosquitto_pub -p "$PORT" -q $((topic % 3)) -t "order/traffic/$topic" -l
    done
}

collecting() {
    connecting
    traffic &
    ask list_topics "{\"session_id\":\"$session\",\"duration_seconds\":10}"
    wait $!
    traffic &
    ask tools/call "{\"name\":\"subscribe_and_collect\",\"arguments\":{\"session_id\":\"$session\",\"topic_pattern\":\"#\",\"duration_seconds\":10,\"max_messages\":5000,\"keep\":20,\"qos\":2}}"
    wait $!
    ask list_active_connections '{}'
    ask close_connection "{\"session_id\":\"$session\"}"
}

secure() {
    starting
    # A name that is looked up, whatever comes of it.
    ask tools/call "{\"name\":\"establish_connection\",\"arguments\":{\"connection_string\":\"mqtt://$(hostname):$PORT\"}}"
    establish mqtts://{localhost,localhost,localhost,localhost,localhost}:"$TLS_PORT"
    ask publish_message "{\"session_id\":\"$session\",\"topic\":\"order\",\"payload\":1,\"qos\":1}"
    ask close_connection "{\"session_id\":\"$session\"}"
}

# The mangled names of our own functions that ran, with what differs between compilers, and the middle of long ones, as a wildcard.
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
        sed -E "s/'[0-9]+$//" | with_namesakes |
        sed -E "s/\.(llvm\.)?[0-9]+$//; s/17h[0-9a-f]{16}E/17h*/g; s/(Cs|B)[0-9A-Za-z]*_/\1*_/g; s/[$]/?/g; s/6marker4S[a-z]{3}NtB[*]_4S[a-z]{3}/6marker4S*NtB*_4S*/g; s/(B[*]_NtB[*]_4S[a-z]{3}|NtB[*]_4S[a-z]{3}B[*]_)E/*E/g" |
        without_place | sed -E "s/^(.{70}).*(.{70})$/\1*\2/; s/[*]+/*/g" | sort -u
}

# What is compiled to the same code is linked once in some builds (--icf=all), under any of its names.
with_namesakes() {
    awk '
        NR == FNR { at[$3] = $1; all[$1] = all[$1] "\n" $3; next }
        !printed[$0]++ { if ($0 in at) print substr(all[at[$0]], 2); else print }' \
        <(nm --defined-only "$binary" | awk '$2 ~ /^[tTwW]$/') -
}

# At the end of a name stands the crate that a generic or inlined function was compiled for: of those that share it one, and
# which one differs from build to build (as does the order of Send and Sync).
without_place() {
    awk '
        /^_R/ && sub(/B[*]_$/, "*") { print; next }
        match($0, /Cs[*]_[0-9]+[a-z0-9_]+$/) {
            crate = substr($0, RSTART + 4)
            chars = crate + 0
            sub(/^[0-9]+/, "", crate)
            if (length(crate) == chars) $0 = substr($0, 1, RSTART - 1) "*"
        }
        { print }'
}

# The files in C libraries that define functions of the list: most are named like these, for this machine's libraries it
# can be seen. What is for one kind of vector registers is so for its kin on other processors.
members() {
    local glibc
    {
        sed -nE '/^(_ZN|_R)/d; /^[A-Za-z0-9_]+$/p' "$1"
        glibc=$(dirname "$(cc -print-file-name=libc.a)")
        nm -A --defined-only "$glibc"/libc.a "$glibc"/libm-*.a /usr/lib/*-musl/libc.a 2>/dev/null | awk -v list="$1" '
            BEGIN { while ((getline name < list) > 0) wanted[name] }
            $2 ~ /[tTwWiI]/ && $3 in wanted { split($1, place, ":"); sub(/[.]l?o$/, "", place[2]); print place[2] }'
    } | sed -E 'h; p; s/-avx2?(-|$)/-evex\1/p; g; s/-avx2?(-|$)/-avx512\1/' | sort -u
}

# Compilers put what they take for cold into sections of another name.
section() {
    echo "  .text.$1 : {"
    if [ "$1" = start ]; then
        echo "    *crt1.o(.text .text.*) *crti.o(.text .text.*) *crtbegin*.o(.text .text.*) *compiler_rt*:*(.text .text.*)"
        # What runs before the profiler sees it.
        echo "    *(.text.__libc_start_main .text.libc_start_main_stage2 .text.static_init_tls .text.dummy)"
        echo "    *libc.a:*__set_thread_area.*o(.text)"
        # What runs while the server looks for a line: the profiler is too slow for it.
        echo "    *(.text*YieldNow*4poll* .text.sched_yield .text*8mqtt_mcp4task8give_way* .text*_8async_io7reactor*12remove_timer* .text._R*13drop_in_place*_3std2io5error5Error*) *libc.a:*sched_yield.*o(.text .text.*)"
        # What two threads that meet need.
        echo "    *(.text*5mutex5futex*5Mutex4spin* .text*5mutex5futex*5Mutex4wake* .text*5mutex5futex*5Mutex14lock_contended* .text*5futex14futex_wake_all*)"
        # Of functions that are alike one stays, and which name it has differs from build to build: all of their kinds.
        echo "    *(.text._RNvX*_5alloc7raw_vec*4drop* .text._RNv*_5alloc3vec*7reserve* .text._RNv*_5alloc3vec*3VechE17extend_from_slice* .text._RNv*_4core5slice3cmph*17equal_same_length* .text._RN*_5alloc*9DropGuard*)"
        echo "    *(.text._R*13drop_in_placeINtNtCs*_5alloc4sync3Arc* .text._R*13drop_in_placeINtNtCs*_5alloc2rc2Rc* .text._RNv*_4core3net6parser*_char .text._RNv*_16rustls_pki_types*6parser*_char .text._RNv*_4core3net*12to_canonical .text._R*13drop_in_placeINtNtB*_6option6Option*)"
    fi
    sed -nE '/^(_ZN|_R)/s/(.*[^*])[*]?/    *(.text*\1*)/p' "$2"
    # Of a C library that is linked in, a function is a section or in a file of its archive.
    sed -nE '/^(_ZN|_R)/d; s/^[A-Za-z0-9_]+$/    *(.text.&)/p' "$2"
    members "$2" | sed 's/.*/    *lib[cm]*.a:&.*o(.text .text.*)/'
    # What there must be more of than the profile has.
    if [ "$1" = collect ]; then
        echo "    *(.text*8analysis4sort5order* .text*8analysis5prune* .text*8foldhash15hash_bytes_long* .text._R*13drop_in_place*8mqtt_mcp4mqtt*)"
        echo "    *(.text._R*13drop_in_place*8mqtt_mcp5stdio* .text._RNv*_5alloc2rc*8mqtt_mcp*9drop_slow*)"
    fi
    if [ "$1" = tls ]; then
        # Written for processors that the profiler does not know.
        for part in aes ghash sha256 sha512 p256 curve25519 limbs; do echo "    *libring-*.rlib:*$part*(.text .text.*)"; done
        echo "    *(.text*4ring4aead*3gcm* .text*4ring4aead7aes_gcm* .text*rustls_pki_types11server_name*)"
    fi
    echo "  }"
}

# Compilers differ in how they name functions: both ways are listed.
build() {
    MQTT_MCP_UNORDERED=1 CARGO_PROFILE_RELEASE_STRIP=none \
        cargo build --locked --release --bin mqtt-mcp --target-dir "$place/$1" "${@:2}"
}
RUSTFLAGS=-Cdebuginfo=0 build default
RUSTFLAGS=-Csymbol-mangling-version=v0 build v0

rm -f "$place"/*.functions
count=0
for binary in "$place"/{default,v0}/release/mqtt-mcp "$@"; do
    count=$((count + 1))
    binary=$(realpath "$binary")
    profile "start-$count" starting
    profile "connect-$count" connecting
    profile "tls-$count" secure
    profile "collect-$count" collecting
done
known=/dev/null
for part in start connect collect tls; do
    sort -u "$place/$part"-*.functions | comm -23 - "$known" >"$place/$part"
    sort "$known" "$place/$part" >"$place/next"
    mv "$place/next" "$place/known"
    known=$place/known
done
{
    echo "/* Written by benches/order.sh, which says what it is for. Names that are not there do no harm. */"
    echo "SECTIONS {"
    for part in start connect collect tls; do section "$part" "$place/$part"; done
    echo "}"
    echo "INSERT BEFORE .text;"
    # Constants without names, and the jump tables of what runs at start, come first.
    echo "SECTIONS {"
    echo "  .rodata.start : {"
    sed -nE '/^_R/s/(.*[^*])[*]?/    *(.rodata.*\1*)/p' "$place/start" "$place/connect" "$place/collect"
    members "$place/start" | sed 's/.*/    *lib[cm]*.a:&.*o(.rodata .rodata.*)/'
    echo "    *(.rodata*10serde_json3ser6ESCAPE* .rodata*10serde_json2de5POW10* .rodata*4zmij*) *lib[cm]*.a:*(.rodata.cst*) *libcompiler_builtins*:*(.rodata .rodata.*)"
    echo "    *(EXCLUDE_FILE(*lib[cm]*.a:* *libring-*.rlib:*) .rodata..L*anon.* .rodata..L__unnamed_* .rodata.str* .rodata.cst*)"
    echo "  }"
    # What is for cryptography and for panics alone lies apart.
    echo "  .rodata.tables : { *libring-*.rlib:*(.rodata .rodata.*) }"
    echo "}"
    echo "INSERT BEFORE .rodata;"
    echo "SECTIONS { .gcc_except_table : { *(.gcc_except_table .gcc_except_table.*) } } INSERT AFTER .rodata;"
} >src/order.ld
wc -l "$place"/{start,connect,collect,tls} >&2
