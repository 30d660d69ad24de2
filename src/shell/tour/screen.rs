//! The tour on a terminal of 80 columns: colours there alone, and nothing that moves the cursor.

use crate::analysis::decimal::tenths;
use crate::shell::text::{COLUMNS, plain, wrap};
use crate::stdio;

/// Where the tour is told.
pub(super) struct Screen {
    colours: bool,
    /// Columns of a line of progress that is not ended yet.
    waiting: usize,
}

/// The error when stdout is closed: a person who has seen enough.
pub(super) const NOBODY_READS: &str = "nobody reads";

const INDENT: &str = "     ";
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const GREEN: &str = "\x1b[32m";

impl Screen {
    /// stdout; colours only on a terminal that has them, and not with NO_COLOR.
    pub(super) fn open() -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { colours: stdio::prints_to_terminal() && !dumb && !is_set("NO_COLOR"), waiting: 0 }
    }

    /// A line over all.
    pub(super) fn title(&self, text: &str) -> Result<(), String> {
        self.put(BOLD, &format!("{text}\n"))?;
        self.put(DIM, "→ is what an assistant sends, ← what the answer says, in short.\n\n")
    }

    /// What a person asks for.
    pub(super) fn wish(&self, number: usize, text: &str) -> Result<(), String> {
        self.put(BOLD, &format!("\n{number}. \"{text}\"\n"))
    }

    /// A line that is sent, broken to fit.
    pub(super) fn request(&self, line: &str) -> Result<(), String> {
        let (mut out, mut column) = (String::from("   → "), 5);
        for part in line.split_inclusive(',') {
            let width = part.chars().count();
            if column > 5 && column + width > COLUMNS {
                out.push_str("\n     ");
                column = 5;
            }
            out.push_str(part);
            column += width;
        }
        out.push('\n');
        self.put(DIM, &out)
    }

    /// How far a call is.
    pub(super) fn progress(&mut self, progress: f64, total: f64) -> Result<(), String> {
        let text = format!(" {}", tenths(progress));
        let begin = if self.waiting == 0 { format!("   … {} s:", tenths(total)) } else { String::new() };
        if self.waiting + text.len() > COLUMNS {
            self.waiting = INDENT.len();
            return self.put(DIM, &format!("\n{INDENT}{text}"));
        }
        self.waiting += begin.chars().count() + text.len();
        self.put(DIM, &(begin + &text))
    }

    /// What the answer says, in a sentence.
    pub(super) fn answer(&mut self, text: &str) -> Result<(), String> {
        let mut out = String::from("   ← ");
        wrap(&mut out, &plain(text), 5);
        self.end_progress()?;
        self.put(GREEN, &out)
    }

    /// More of it: a row of a list, cut to fit.
    pub(super) fn row(&self, text: &str) -> Result<(), String> {
        let text = plain(text);
        let room = COLUMNS - 7;
        if text.chars().count() <= room {
            return self.put("", &format!("       {text}\n"));
        }
        let cut: String = text.chars().take(room - 1).collect();
        self.put("", &format!("       {cut}…\n"))
    }

    /// More of it: what is worth reading to its end.
    pub(super) fn text(&self, text: &str) -> Result<(), String> {
        let mut out = " ".repeat(7);
        wrap(&mut out, &plain(text), 7);
        self.put("", &out)
    }

    /// What to do next.
    pub(super) fn farewell(&self) -> Result<(), String> {
        let program = std::env::current_exe().map_err(|error| format!("where this program is: {error}"))?;
        let program = program.display().to_string();
        self.put(BOLD, "\nTo have it in your assistant, paste one of these. Claude Code, in a shell:\n\n")?;
        let word = if program.contains([' ', '\'', '"', '\\', '$']) { format!("{program:?}") } else { program.clone() };
        self.put("", &format!("claude mcp add mqtt -- {word} --demo\n"))?;
        self.put(BOLD, "\nClaude Desktop, in claude_desktop_config.json (Settings, Developer):\n\n")?;
        let command = serde_json::to_string(&program).unwrap_or_default();
        self.put(
            "",
            &format!(
                "{{ \"mcpServers\": {{ \"mqtt\": {{\n    \"command\": {command},\n    \"args\": [\"--demo\"] }} }} }}\n"
            ),
        )?;
        let mut last = String::from("\n");
        wrap(
            &mut last,
            "Then ask it what is on the broker demo. For your own broker put --broker NAME=URL in place of --demo; \
             mqtt-mcp check URL tries it first.",
            0,
        );
        self.put("", &last)
    }

    fn end_progress(&mut self) -> Result<(), String> {
        if std::mem::take(&mut self.waiting) > 0 { self.put("", "\n") } else { Ok(()) }
    }

    fn put(&self, colour: &str, text: &str) -> Result<(), String> {
        let result = if self.colours && !colour.is_empty() {
            stdio::write_text(&format!("{colour}{text}\x1b[0m"))
        } else {
            stdio::write_text(text)
        };
        result.map_err(|_| NOBODY_READS.into())
    }
}
