//! Memory and speed of the release binary, driven over its pipes as a client does.
//!
//!     cargo bench --bench footprint                              the build of this package
//!     cargo bench --bench footprint -- --bin target/…/mqtt-mcp   another build of it beside it, such as a static one
//!     cargo bench --bench footprint -- --vs 'python -m server'   any stdio MCP server for MQTT beside it
//!     cargo bench --bench footprint -- memory                    only what has this in its name: size, start, memory at
//!                                                                rest, TLS, memory under load, connect and close, an
//!                                                                hour of calls, ping, rates, publish, CPU
//!     cargo bench --bench footprint -- --json
//!
//! It measures: the size of the binary; the time from exec to the answer to `initialize` against the smallest Rust
//! program that prints a line; memory at rest, with sessions, at the peak of calls that see many messages, and behind
//! them; whether memory grows over a thousand connections or an hour's worth of calls; the latency of `ping` while
//! messages flood in; request rates; the round trip of publish_message against a plain socket; CPU time per message.
//! Mosquitto is needed where a real broker matters; where counts must be exact or the broker must not be the slower side,
//! a broker inside this program sends the flood. Counts are checked, times are only shown: compare ratios, not times from
//! different machines.
//!
//! Another server's COMMAND must be its process, so a script ends with `exec`. Names that it gives to its tools are known
//! by a small table (support/server.rs). What it cannot do is said on stderr and missing in the table. One that does
//! less than it is asked is shown with what it counted and returned, and its CPU time per message is that of as many
//! messages as it takes. One that knows no `ping` answers it with an error, which is timed as well.

// Its output is its purpose.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod support;

use std::fs::File;
use std::io::Read;
use std::process::ExitCode;

use support::fake_broker::FakeBroker;
use support::mosquitto::Mosquitto;
use support::options::Subject;
use support::server::Result;
use support::startup::Smallest;
use support::table::Table;
use support::{hour, memory, options, relay, speed, startup};

type Scenario<'a> = (&'static str, &'a dyn Fn(&Subject, usize, &mut Table) -> Result<()>);

fn main() -> ExitCode {
    if let Some(ended) = relay::run() {
        return ended;
    }
    let options = options::read();
    let broker = match Mosquitto::start() {
        Ok(broker) => broker,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    let fake = FakeBroker::start().expect("a loopback port");
    let smallest = Smallest::build();
    let scenarios: [Scenario<'_>; 11] = [
        ("size", &size),
        ("start", &|subject, column, table| startup::measure(subject, &smallest, column, table)),
        ("memory at rest", &|subject, column, table| memory::at_rest(subject, &broker, column, table)),
        ("TLS", &|subject, column, table| memory::over_tls(subject, &broker, column, table)),
        ("memory under load", &|subject, column, table| memory::under_load(subject, &fake, column, table)),
        ("connect and close", &|subject, column, table| memory::connect_cycles(subject, &broker, column, table)),
        ("an hour of calls", &|subject, column, table| hour::measure(subject, &broker, &fake, column, table)),
        ("ping", &|subject, column, table| speed::ping(subject, &broker, &fake, column, table)),
        ("rates", &|subject, column, table| speed::rates(subject, &broker, column, table)),
        ("publish", &|subject, column, table| speed::publish(subject, &broker, column, table)),
        ("CPU", &|subject, column, table| speed::cpu(subject, &fake, column, table)),
    ];
    let columns = options.subjects.iter().map(|subject| subject.name.clone());
    let mut table =
        Table::with_ratios("Footprint (medians; memory in kB of 1024 bytes; × of the first column)", columns);
    let mut failed = false;
    for (name, scenario) in scenarios.into_iter().filter(|(name, _)| name.contains(&options.only)) {
        for (column, subject) in options.subjects.iter().enumerate() {
            if let Err(why) = scenario(subject, column, &mut table) {
                eprintln!("{name}, {}: {why}", subject.name);
                failed |= subject.is_ours;
            }
        }
    }
    table.print(options.json);
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The program's own size; a script's or an interpreter's says nothing.
fn size(subject: &Subject, column: usize, table: &mut Table) -> Result<()> {
    let mut start = [0; 4];
    let mut file = File::open(&subject.command[0]).map_err(|error| error.to_string())?;
    let is_program = subject.command.len() == 1 && file.read_exact(&mut start).is_ok() && start == *b"\x7fELF";
    if subject.is_ours || is_program {
        let bytes = file.metadata().map_err(|error| error.to_string())?.len();
        table.set(column, "size of the binary", "KiB", bytes as f64 / 1024.0);
    }
    Ok(())
}
