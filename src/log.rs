//! Logging to stderr through `log`; stdout belongs to the protocol.

use std::io::Write;

use log::LevelFilter;

use crate::secret::redacted;

/// Starts the logger at `level`. Lines are `LEVEL module: message`, without colours or a clock: the journal or the
/// client that reads stderr adds its own.
pub fn start(level: LevelFilter) {
    env_logger::Builder::new()
        .filter_level(LevelFilter::Error)
        .filter_module("mqtt_mcp", level)
        .format(|out, record| {
            let module = record.target().trim_start_matches("mqtt_mcp::");
            writeln!(out, "{} {module}: {}", record.level(), Escaped(&redacted(record.args().to_string())))
        })
        .init();
}

/// A panic is a bug that its call survives: told in one log line, without the values that it may name.
pub fn panics_to_log() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|l| format!("{}:{}", l.file(), l.line()));
        log::error!("internal error at {}", place.as_deref().unwrap_or("an unknown place"));
    }));
}

/// Control characters escaped: text from a broker must not forge log lines or drive a terminal.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::fmt::Write;
        for c in self.0.chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { f.write_char(c)? }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(Escaped("a\nb\x1b[2J").to_string(), "a\\nb\\u{1b}[2J");
    }
}
