//! How fast a subscription is drained, what a message costs, and what memory a flood takes.
//!
//!     cargo bench --bench mqtt                              the build of this package
//!     cargo bench --bench mqtt -- --bin target/…/mqtt-mcp   another build of it as well
//!     cargo bench --bench mqtt -- --vs 'python -m server'   any stdio MCP server for MQTT as well
//!     cargo bench --bench mqtt -- --reader PATH             another program that reads, with the options of mosquitto_sub
//!     cargo bench --bench mqtt -- 'JSON of 64'              only what has this in its name; also `huge`, `Mosquitto`
//!     cargo bench --bench mqtt -- --json
//!
//! A broker inside this program sends as fast as it is read. Readers take turns: a loop that only reads the socket, one
//! that decodes every packet with mqttrs, `mosquitto_sub`, other readers, and the server with `subscribe_and_collect` that
//! keeps one message. Rates are relative to the decoding loop of the same run; counts are checked. Note that the server looks
//! into every payload (its type, its shape, whether it reports an error), and that no other reader does.

// Its output is its purpose.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod support;

use std::process::ExitCode;

use support::drain::{self, Drain};
use support::fake_broker::{FakeBroker, Flood, reading};
use support::mosquitto::Mosquitto;
use support::options::{self, Options, Subject};
use support::server::Result;
use support::table::{Table, median};
use support::through;

/// Rounds of which the median counts.
const ROUNDS: usize = 3;
/// The same through Mosquitto, where they differ more.
const ROUNDS_THROUGH: usize = 11;
/// Loops of our own that read beside the programs.
const LOOPS: [&str; 2] = ["read only", "mqttrs loop"];
const MOSQUITTO_SUB: &str = "mosquitto_sub";

fn main() -> ExitCode {
    let mut options = options::read();
    options.readers.insert(0, MOSQUITTO_SUB.to_owned());
    let fake = FakeBroker::start().expect("a loopback port");
    let loops = LOOPS.iter().map(|name| (*name).to_owned());
    let names = loops.chain(options.readers.iter().map(|path| options::title(path)));
    let columns = names.chain(options.subjects.iter().map(|subject| subject.name.clone()));
    let mut table = Table::new("Draining a subscription (medians; ratios to the mqttrs loop)", columns);
    let mut failed = false;
    for (name, bytes, messages) in [("64 B", 64, 500_000), ("1 KiB", 1024, 200_000)] {
        for kind in ["text", "JSON"] {
            let payload = |n| if kind == "text" { vec![b'x'; bytes] } else { reading(n, bytes) };
            let flood = |messages| Flood::of(messages, 100, 1000, payload);
            let name = format!("{kind} of {name}");
            if !name.contains(&options.only) {
                continue;
            }
            failed |= !compare(&name, messages, &flood, &fake, &options, &mut table);
        }
    }
    if "through Mosquitto".contains(&options.only) {
        failed |= !through_mosquitto(&options, &fake, &mut table);
    }
    for (column, subject) in options.subjects.iter().enumerate() {
        if !"huge".contains(&options.only) {
            break;
        }
        if let Err(why) = huge(subject, &fake, first_subject(&options) + column, &mut table) {
            eprintln!("one huge message, {}: {why}", subject.name);
            failed |= subject.is_ours;
        }
    }
    table.print(options.json);
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The column of the first subject.
fn first_subject(options: &Options) -> usize {
    LOOPS.len() + options.readers.len()
}

fn compare(
    name: &str,
    messages: usize,
    flood: &dyn Fn(usize) -> Flood,
    fake: &FakeBroker,
    options: &Options,
    table: &mut Table,
) -> bool {
    let Options { subjects, readers, .. } = options;
    let first_subject = first_subject(options);
    let many = flood(messages);
    // Slower by an order of magnitude or two: fewer messages say the same.
    let few = flood(messages / 10);
    let floods = subjects.iter().map(|subject| fitting(name, subject, fake, messages).map(flood));
    let floods: Vec<Option<Flood>> = floods.collect();
    let mut drains: Vec<Vec<Drain>> = (0..first_subject + subjects.len()).map(|_| Vec::new()).collect();
    let mut peaks: Vec<Vec<f64>> = subjects.iter().map(|_| Vec::new()).collect();
    let mut fine = true;
    for _ in 0..ROUNDS {
        drains[0].push(drain::read_only(fake, &many).expect("a loopback socket"));
        drains[1].push(drain::decode(fake, &many).expect("a loopback socket"));
        for (index, reader) in readers.iter().enumerate() {
            // The first is mosquitto_sub.
            let flood = if index == 0 { &few } else { &many };
            drains[LOOPS.len() + index].extend(drain::reader(reader, fake, flood).expect(reader));
        }
        for (index, subject) in subjects.iter().enumerate() {
            let Some(flood) = &floods[index] else { continue };
            match drain::collect(subject, fake, flood) {
                Ok((drain, peak)) => {
                    drains[first_subject + index].push(drain);
                    peaks[index].push(peak);
                }
                Err(why) => {
                    eprintln!("{name}, {}: {why}", subject.name);
                    fine &= !subject.is_ours;
                }
            }
        }
    }
    let rate = |drains: &[Drain]| median(drains.iter().map(|drain| drain.rate));
    let known = rate(&drains[1]);
    for (column, drains) in drains.iter().enumerate() {
        table.set(column, &format!("{name}: messages"), "1/s", rate(drains));
        table.set(column, &format!("{name}: against the mqttrs loop"), "ratio", rate(drains) / known);
        let cpu = median(drains.iter().map(|drain| drain.cpu_us));
        table.set(column, &format!("{name}: CPU per message"), "µs", cpu);
    }
    for (index, peaks) in peaks.into_iter().enumerate() {
        table.set(first_subject + index, &format!("{name}: peak above idle"), "kB", median(peaks));
    }
    fine
}

/// How many of so many messages a subject is measured with; `None` when it cannot collect at all.
fn fitting(name: &str, subject: &Subject, fake: &FakeBroker, messages: usize) -> Option<usize> {
    let wanted = if subject.is_ours { messages } else { messages / 10 };
    drain::takes(subject, fake, wanted).map_err(|why| eprintln!("{name}, {}: {why}", subject.name)).ok()
}

/// The same through a real broker, where system calls and the broker's pace weigh as in life.
fn through_mosquitto(options: &Options, fake: &FakeBroker, table: &mut Table) -> bool {
    let (subjects, first_subject) = (&options.subjects, first_subject(options));
    let broker = Mosquitto::start().expect("a Mosquitto");
    let mut fine = true;
    let counts = subjects.iter().map(|subject| fitting("through Mosquitto", subject, fake, through::MESSAGES));
    let counts: Vec<Option<usize>> = counts.collect();
    for (name, payload) in [("text of 64 B", vec![b'x'; 64]), ("JSON of 64 B", reading(7, 64))] {
        let name = format!("{name} through Mosquitto: CPU per message");
        let mut bare = Vec::new();
        let mut ours: Vec<Vec<f64>> = subjects.iter().map(|_| Vec::new()).collect();
        // In turns: which of the processes share a processor decides more than they do, and changes with time.
        for _ in 0..ROUNDS_THROUGH {
            bare.push(through::bare(&broker, &payload).expect("the bare loop").cpu_us);
            for ((subject, times), messages) in subjects.iter().zip(&mut ours).zip(&counts) {
                let Some(messages) = *messages else { continue };
                match through::collect(subject, &broker, &payload, messages) {
                    Ok(drain) => times.push(drain.cpu_us),
                    Err(why) => {
                        eprintln!("{name}, {}: {why}", subject.name);
                        fine &= !subject.is_ours;
                    }
                }
            }
        }
        let known = median(bare);
        table.set(1, &name, "µs", known);
        for (index, times) in ours.into_iter().enumerate().filter(|(_, times)| !times.is_empty()) {
            let cpu = median(times);
            table.set(first_subject + index, &name, "µs", cpu);
            table.set(first_subject + index, &format!("{name} against the mqttrs loop"), "ratio", cpu / known);
        }
    }
    fine
}

/// One PUBLISH of 200 MiB: it is counted, and a few kilobytes of it are kept.
fn huge(subject: &Subject, fake: &FakeBroker, column: usize, table: &mut Table) -> Result<()> {
    let (drain, peak) = drain::collect(subject, fake, &Flood::huge(200 << 20))?;
    table.set(column, "one PUBLISH of 200 MiB: peak above idle", "kB", peak);
    table.set(column, "one PUBLISH of 200 MiB: time", "ms", 1000.0 / drain.rate);
    table.set(column, "one PUBLISH of 200 MiB: CPU", "ms", drain.cpu_us / 1000.0);
    Ok(())
}
