//! Text for a terminal of 80 columns.

/// A terminal's width.
pub const COLUMNS: usize = 80;

/// Appends `text` in lines of at most [`COLUMNS`], broken between words. The first line goes on from where `out` ends,
/// the others are indented. A word longer than a line gets one of its own.
pub fn wrap(out: &mut String, text: &str, indent: usize) {
    let mut column = out.chars().rev().take_while(|c| *c != '\n').count();
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > indent && column + 1 + width > COLUMNS {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else if column > indent {
            out.push(' ');
            column += 1;
        } else {
            out.push_str(&" ".repeat(indent - column));
            column = indent;
        }
        out.push_str(word);
        column += width;
    }
    out.push('\n');
}

/// Text from a broker must not drive the terminal.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_filled_and_none_is_longer_than_the_terminal() {
        let words = "word ".repeat(60);
        let mut out = String::from("name");
        wrap(&mut out, &words, 8);
        assert!(out.starts_with("name    word word"), "{out}");
        assert!(out.lines().skip(1).all(|line| line.starts_with("        word")), "{out}");
        assert!(out.lines().all(|line| line.len() <= COLUMNS) && out.lines().count() == 5, "{out}");
        assert_eq!(out.matches("word").count(), 60);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(plain("a\x1b[2J\r\nä\u{9b}31m"), "a\u{fffd}[2J\u{fffd}\u{fffd}ä\u{fffd}31m");
    }

    #[test]
    fn widths_are_counted_in_characters_and_long_words_stand_alone() {
        let mut out = String::new();
        wrap(&mut out, &format!("{} ä {}", "é".repeat(78), "x".repeat(100)), 0);
        assert_eq!(out, format!("{} ä\n{}\n", "é".repeat(78), "x".repeat(100)));
    }
}
