//! The benchmarks' command line.

use std::fs::File;

use rustix::fs::{Advice, fadvise};

/// A program to measure.
#[derive(Clone)]
pub struct Subject {
    /// Its column's title.
    pub name: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Ours: what it cannot do is a failure, not a gap in the table.
    pub is_ours: bool,
}

impl Subject {
    /// The same with a variable in its environment.
    pub fn with_env(&self, name: &str, value: &str) -> Self {
        let words = ["env".to_owned(), format!("{name}={value}")];
        Self { command: words.into_iter().chain(self.command.iter().cloned()).collect(), ..self.clone() }
    }
}

/// What was asked for.
pub struct Options {
    /// Print JSON.
    pub json: bool,
    /// What to measure; the first is the build under test.
    pub subjects: Vec<Subject>,
    /// Further programs that read a subscription, called as `mosquitto_sub` is.
    pub readers: Vec<String>,
    /// Only what has this in its name.
    pub only: String,
}

/// Reads `--json`, `--bin PATH`, `--vs 'COMMAND'` and `--reader PATH`, of which the last three may come more than once, and
/// a part of the names of what is to be measured.
pub fn read() -> Options {
    let subjects = vec![ours("mqtt-mcp", env!("CARGO_BIN_EXE_mqtt-mcp"))];
    let mut options = Options { json: false, subjects, readers: Vec::new(), only: String::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| usage(&format!("{word} needs a value")));
        match word.as_str() {
            "--json" => options.json = true,
            // Cargo says this to every benchmark.
            "--bench" => {}
            "--reader" => options.readers.push(value()),
            "--bin" => {
                let path = value();
                options.subjects.push(ours(&title(&path), &path));
            }
            "--vs" => {
                let text = value();
                let command: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
                if command.is_empty() {
                    usage("--vs needs a command");
                }
                let name = tail(&text, 18).to_owned();
                options.subjects.push(Subject { name, command, is_ours: false });
            }
            other if other.starts_with('-') => usage(&format!("unknown option {other}")),
            other => options.only = other.to_owned(),
        }
    }
    options
}

/// What a program is called at the head of its column.
pub fn title(path: &str) -> String {
    if path.len() > 18 { format!("…{}", tail(path, 17)) } else { path.to_owned() }
}

fn ours(name: &str, path: &str) -> Subject {
    drop_from_page_cache(path);
    Subject { name: name.into(), command: vec![path.into()], is_ours: true }
}

/// So that it is read from the disk again, as on a machine that has just started: what was written a moment ago can lie in
/// memory in pieces so large that a single fault maps a megabyte of it.
fn drop_from_page_cache(path: &str) {
    let dropped = File::open(path).and_then(|file| {
        file.sync_all()?;
        fadvise(&file, 0, None, Advice::DontNeed).map_err(std::io::Error::from)
    });
    if let Err(error) = dropped {
        usage(&format!("{path}: {error}"));
    }
}

fn tail(text: &str, characters: usize) -> &str {
    let skipped = text.chars().count().saturating_sub(characters);
    text.char_indices().nth(skipped).map_or(text, |(at, _)| &text[at..])
}

fn usage(problem: &str) -> ! {
    panic!("{problem}; options: --json, --bin PATH, --vs 'COMMAND', --reader PATH, NAME")
}
