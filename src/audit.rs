//! One JSON line for each connect, publish and refusal, for somebody who wants to know later. Off by default. Never a
//! payload, never a password: nothing that holds one comes here.
//!
//! Lines are small and a regular file takes them from memory, so they are written where they arise; anything else is
//! opened so that it never blocks. A file that takes nothing more stops nothing: what could not be written is counted,
//! and the count is written when the file takes lines again.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use serde::Serialize;

use crate::clock::{Now, Timestamp};

/// Where the lines go, if anywhere.
#[derive(Debug, Default)]
pub struct Audit(Option<RefCell<Log>>);

#[derive(Debug)]
struct Log {
    file: File,
    lost: u64,
    /// The last line was written in part.
    torn: bool,
}

/// Which connection an event is about.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Host name or address.
    pub broker: &'a str,
    /// TCP port.
    pub port: u16,
    /// As which client.
    pub client_id: &'a str,
}

/// A message that was to be published.
#[derive(Clone, Debug)]
pub struct Message {
    /// Where to.
    pub topic: String,
    /// How long the payload was.
    pub payload_bytes: usize,
    /// 0, 1 or 2.
    pub qos: u8,
    /// Whether the broker was to keep it.
    pub retain: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    time: Timestamp,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    broker: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qos: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retain: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<u64>,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn new(event: &'static str, subject: Option<Subject<'a>>, outcome: &'a str) -> Self {
        Self {
            time: Now::read().timestamp(),
            event,
            broker: subject.map(|subject| subject.broker),
            port: subject.map(|subject| subject.port),
            client_id: subject.map(|subject| subject.client_id),
            topic: None,
            payload_bytes: None,
            qos: None,
            retain: None,
            refused: None,
            lines: None,
            outcome,
            why: None,
        }
    }
}

impl Audit {
    /// Appends to a file, which is made for its owner alone if it is missing.
    pub fn to(path: &Path) -> io::Result<Self> {
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32;
        let file = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
        Ok(Self(Some(RefCell::new(Log { file, lost: 0, torn: false }))))
    }

    /// Whether anything is written.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A broker was connected to, or not: `connected` or an error's code.
    pub fn connect(&self, subject: Subject<'_>, outcome: &str) {
        self.write(|| Line::new("connect", Some(subject), outcome));
    }

    /// A message was published, and what is known of it. An empty retained message deletes what a broker keeps.
    pub fn publish(&self, subject: Subject<'_>, message: &Message, outcome: &str) {
        let event = if message.retain && message.payload_bytes == 0 { "clear" } else { "publish" };
        self.write(|| Line {
            topic: Some(&message.topic),
            payload_bytes: Some(message.payload_bytes),
            qos: Some(message.qos),
            retain: Some(message.retain),
            ..Line::new(event, Some(subject), outcome)
        });
    }

    /// Something was refused: what (`publish`, `subscribe`, `connect`, or a tool's name), on which topic, the error's
    /// code, and the sentence that names the rule.
    pub fn refusal(&self, subject: Option<Subject<'_>>, what: (&str, Option<&str>), code: &str, why: &str) {
        let (refused, topic) = (Some(what.0), what.1);
        self.write(|| Line { refused, topic, why: Some(why), ..Line::new("refusal", subject, code) });
    }

    fn write<'a>(&self, line: impl FnOnce() -> Line<'a>) {
        let Some(log) = &self.0 else { return };
        log.borrow_mut().write(&line());
    }
}

impl Log {
    fn write(&mut self, line: &Line<'_>) {
        let mut bytes = Vec::new();
        if self.torn {
            bytes.push(b'\n');
        }
        if self.lost > 0 {
            let lines = Some(self.lost);
            append(&mut bytes, &Line { lines, ..Line::new("lost", None, "these lines could not be written") });
        }
        append(&mut bytes, line);
        match self.write_whole(&bytes) {
            Ok(()) => {
                if std::mem::take(&mut self.lost) > 0 {
                    log::info!("audit: lines can be written again");
                }
                self.torn = false;
            }
            Err(error) => {
                if self.lost == 0 {
                    let why = crate::mqtt::link::plain(&error);
                    log::error!("audit: lines cannot be written ({why}); they are counted until they can");
                }
                self.lost += 1;
            }
        }
    }

    fn write_whole(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    bytes = &bytes[count..];
                    self.torn = !bytes.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn append(bytes: &mut Vec<u8>, line: &Line<'_>) {
    // Our own types have string keys and no fallible parts.
    let _ = serde_json::to_writer(&mut *bytes, line);
    bytes.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: Subject<'_> = Subject { broker: "h", port: 1, client_id: "c" };

    fn path(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("mqtt-mcp-audit-{}-{name}", std::process::id()))
    }

    fn lines(path: &Path) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(path).expect("the file");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    #[test]
    fn each_event_is_a_line_and_an_empty_retained_message_is_a_clear() {
        let path = path("events");
        let audit = Audit::to(&path).expect("a file");
        let mut message = Message { topic: "a\n\"".into(), payload_bytes: 3, qos: 1, retain: true };
        audit.connect(SUBJECT, "connected");
        audit.publish(SUBJECT, &message, "acknowledged");
        message.payload_bytes = 0;
        audit.publish(SUBJECT, &message, "unknown");
        audit.refusal(None, ("publish_message", None), "policy_denied", "--read-only");
        let lines = lines(&path);
        let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().expect("an event")).collect();
        assert_eq!(events, ["connect", "publish", "clear", "refusal"]);
        assert_eq!((&lines[1]["topic"], &lines[1]["broker"]), (&"a\n\"".into(), &"h".into()));
        assert_eq!(lines[3]["refused"], "publish_message");
        assert_eq!((&lines[3]["outcome"], &lines[3]["why"]), (&"policy_denied".into(), &"--read-only".into()));
        std::fs::remove_file(path).expect("removed");
    }

    #[test]
    fn what_a_full_pipe_does_not_take_is_counted_and_told_when_it_does_again() {
        let path = path("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo");
        assert!(made.success());
        assert!(Audit::to(&path).is_err(), "nobody reads");
        let mut options = OpenOptions::new();
        let mut reader = options.read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(&path).expect("a reader");
        let audit = Audit::to(&path).expect("a pipe");
        let message = Message { topic: "t".repeat(10_000), payload_bytes: 3, qos: 1, retain: false };
        for _ in 0..20 {
            audit.publish(SUBJECT, &message, "sent");
        }
        let mut bytes = vec![0; 1 << 20];
        let mut length = 0;
        while let Ok(count @ 1..) = io::Read::read(&mut reader, &mut bytes[length..]) {
            length += count;
        }
        audit.connect(SUBJECT, "connected");
        while let Ok(count @ 1..) = io::Read::read(&mut reader, &mut bytes[length..]) {
            length += count;
        }
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        let whole: Vec<_> = text.lines().filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok()).collect();
        let written = whole.iter().filter(|line| line["event"] == "publish").count() as u64;
        let told = whole.iter().find(|line| line["event"] == "lost").expect("a count");
        assert_eq!(told["lines"], 20 - written, "nothing is lost silently");
        assert_eq!(whole.last().map(|line| &line["event"]), Some(&"connect".into()));
        std::fs::remove_file(path).expect("removed");
    }
}
