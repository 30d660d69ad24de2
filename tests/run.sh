#!/usr/bin/env bash
# Runs all tests on a machine with nothing but Rust: installs Mosquitto from Debian's packages if it is missing and
# that is possible, otherwise says what to do. Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/.."

have_mosquitto() {
    { command -v mosquitto || [ -x /usr/sbin/mosquitto ]; } >/dev/null && command -v mosquitto_sub >/dev/null
}

if ! have_mosquitto && command -v apt-get >/dev/null; then
    as_root=""
    [ "$(id -u)" = 0 ] || as_root="sudo"
    $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends mosquitto mosquitto-clients
fi
have_mosquitto || {
    echo "the tests need a Mosquitto broker and its clients: install the packages 'mosquitto' and 'mosquitto-clients' (mosquitto.org/download) and run this again" >&2
    exit 1
}

# Most tests wait for others most of the time, so more of them run at once than there are processors.
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-6}"

# Without the (empty) documentation tests, so that the last line counts real ones.
cargo test --locked --tests "$@"
