#!/usr/bin/env bash
# Runs the tests against further real brokers, amqtt and aedes beside Mosquitto. Both are installed under
# target/brokers/ when they are missing there. Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/.."

AMQTT_VERSION=0.12.1
AEDES_VERSION=1.2.0
PLACE="$PWD/target/brokers"

need() {
    command -v "$1" >/dev/null && return
    echo "these tests need $1, which is missing: install $2 and run this again" >&2
    exit 1
}

install_amqtt() {
    need python3 "Python 3.10 or newer with its venv module (package 'python3-venv')"
    echo "installing amqtt $AMQTT_VERSION into $amqtt" >&2
    rm -rf "$amqtt"
    python3 -m venv "$amqtt"
    "$amqtt/bin/python" -m pip install --quiet --disable-pip-version-check "amqtt==$AMQTT_VERSION"
}

install_aedes() {
    need npm "Node.js 20 or newer with npm"
    echo "installing aedes $AEDES_VERSION into $aedes" >&2
    rm -rf "$aedes"
    mkdir -p "$aedes"
    npm install --silent --no-audit --no-fund --prefix "$aedes" "aedes@$AEDES_VERSION"
}

PATH="$PATH:/usr/sbin:/usr/local/sbin" need mosquitto "the package 'mosquitto' (tests/run.sh does)"
need node "Node.js 20 or newer with npm"

# The version is part of the name, so that another one is installed anew.
amqtt="$PLACE/amqtt-$AMQTT_VERSION"
aedes="$PLACE/aedes-$AEDES_VERSION"
# Each is ready when its last step is done.
[ -x "$amqtt/bin/amqtt" ] || install_amqtt
[ -f "$aedes/node_modules/aedes/package.json" ] || install_aedes

export BROKERS_AMQTT="$amqtt/bin/amqtt"
export BROKERS_AEDES="$aedes"
cargo test --locked --test brokers "$@"
