//! The line buffer: bytes in, lines out, bounded, and back in step after a line that is too long.
//!
//! A line may carry a password (a connection string), so bytes are wiped as soon as their line is done, also when the
//! buffer grows.

use zeroize::Zeroize;

use crate::limits::{LINE_IDLE_BYTES, LINE_MAX_BYTES};

/// What the buffer found.
#[derive(Debug, PartialEq)]
pub enum Line<'a> {
    /// A line without its line end.
    Whole(&'a [u8]),
    /// A line of more than [`LINE_MAX_BYTES`] was skipped.
    TooLong,
}

/// Collects bytes until a newline.
#[derive(Default)]
pub struct LineBuffer {
    /// Initialised memory; `start..end` is what was read and not yet taken.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// No newline before this index.
    scanned: usize,
    /// Between a line that was too long and its newline.
    skipping: bool,
}

impl LineBuffer {
    /// Room for the next read; say with [`LineBuffer::filled`] how much was used.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start == self.end && self.bytes.len() != LINE_IDLE_BYTES {
            self.resize(LINE_IDLE_BYTES);
        } else if self.end == self.bytes.len() {
            if self.start > 0 {
                self.compact();
            } else {
                self.resize((self.bytes.len() * 2).min(LINE_MAX_BYTES + LINE_IDLE_BYTES));
            }
        }
        &mut self.bytes[self.end..]
    }

    /// `count` bytes of [`LineBuffer::space`] are now filled.
    pub fn filled(&mut self, count: usize) {
        self.end += count;
    }

    /// Takes the next line, if one is whole. Call [`LineBuffer::wipe`] when it is done with.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        self.wipe();
        let fresh = &self.bytes[self.scanned..self.end];
        let Some(offset) = fresh.iter().position(|byte| *byte == b'\n') else {
            self.scanned = self.end;
            self.skipping |= self.end - self.start > LINE_MAX_BYTES;
            if self.skipping {
                self.drop_all();
            }
            return None;
        };
        let line = self.start..self.scanned + offset;
        self.start = line.end + 1;
        self.scanned = self.start;
        if std::mem::take(&mut self.skipping) || line.len() > LINE_MAX_BYTES {
            return Some(Line::TooLong);
        }
        Some(Line::Whole(&self.bytes[line]))
    }

    /// At the end of input: a last line without a newline.
    pub fn last_line(&mut self) -> Option<Line<'_>> {
        self.wipe();
        if std::mem::take(&mut self.skipping) {
            return Some(Line::TooLong);
        }
        let line = self.start..self.end;
        self.start = self.end;
        self.scanned = self.end;
        (!line.is_empty()).then(|| Line::Whole(&self.bytes[line]))
    }

    /// Wipes the lines that were taken.
    pub fn wipe(&mut self) {
        self.bytes[..self.start].zeroize();
        if self.start == self.end {
            (self.start, self.end, self.scanned) = (0, 0, 0);
        }
    }

    fn drop_all(&mut self) {
        self.bytes[..self.end].zeroize();
        (self.start, self.end, self.scanned) = (0, 0, 0);
    }

    fn compact(&mut self) {
        self.bytes.copy_within(self.start..self.end, 0);
        let kept = self.end - self.start;
        self.bytes[kept..self.end].zeroize();
        self.scanned -= self.start;
        (self.start, self.end) = (0, kept);
    }

    /// A reallocation would leave the old bytes behind: copy, then wipe.
    fn resize(&mut self, size: usize) {
        let mut bytes = vec![0; size.max(LINE_IDLE_BYTES)];
        let kept = self.end - self.start;
        bytes[..kept].copy_from_slice(&self.bytes[self.start..self.end]);
        self.bytes.zeroize();
        self.scanned -= self.start;
        (self.start, self.end) = (0, kept);
        self.bytes = bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(buffer: &mut LineBuffer, mut bytes: &[u8]) -> Vec<Result<Vec<u8>, &'static str>> {
        let mut lines = Vec::new();
        while !bytes.is_empty() {
            let space = buffer.space();
            let count = space.len().min(bytes.len());
            space[..count].copy_from_slice(&bytes[..count]);
            buffer.filled(count);
            bytes = &bytes[count..];
            while let Some(line) = buffer.next_line() {
                lines.push(match line {
                    Line::Whole(line) => Ok(line.to_vec()),
                    Line::TooLong => Err("too long"),
                });
            }
        }
        lines
    }

    #[test]
    fn lines_come_out_however_the_bytes_are_split() {
        let input = b"one\n\ntwo\r\nthree\n";
        for split in 0..input.len() {
            let mut buffer = LineBuffer::default();
            let mut lines = feed(&mut buffer, &input[..split]);
            lines.extend(feed(&mut buffer, &input[split..]));
            let expected: [&[u8]; 4] = [b"one", b"", b"two\r", b"three"];
            assert_eq!(lines, expected.map(|line| Ok(line.to_vec())));
        }
    }

    #[test]
    fn a_line_beyond_the_limit_is_reported_once_and_the_next_one_is_served() {
        let mut buffer = LineBuffer::default();
        let mut input = vec![b'x'; LINE_MAX_BYTES * 2 + 7];
        input.extend(b"\nnext\n");
        assert_eq!(feed(&mut buffer, &input), [Err("too long"), Ok(b"next".to_vec())]);
        assert!(buffer.space().len() <= LINE_IDLE_BYTES, "memory is given back");
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_served() {
        let mut buffer = LineBuffer::default();
        let mut input = vec![b'x'; LINE_MAX_BYTES];
        input.push(b'\n');
        assert_eq!(feed(&mut buffer, &input)[0].as_ref().map(Vec::len), Ok(LINE_MAX_BYTES));
        input.insert(0, b'x');
        assert_eq!(feed(&mut buffer, &input), [Err("too long")]);
    }

    #[test]
    fn a_last_line_without_newline_is_given_at_the_end() {
        let mut buffer = LineBuffer::default();
        assert!(feed(&mut buffer, b"a\nlast").len() == 1);
        assert_eq!(buffer.last_line(), Some(Line::Whole(b"last")));
        assert_eq!(buffer.last_line(), None);
    }

    #[test]
    fn taken_lines_are_wiped() {
        let mut buffer = LineBuffer::default();
        feed(&mut buffer, b"{\"password\":\"hunter2\"}\nrest");
        assert!(!buffer.bytes.windows(7).any(|part| part == b"hunter2"));
        assert_eq!(buffer.last_line(), Some(Line::Whole(b"rest")));
    }
}
