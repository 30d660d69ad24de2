//! Bytes on their way to the socket. Large payloads are shared, not copied.

use std::collections::VecDeque;
use std::rc::Rc;

/// A queue of bytes with a count of all that went in and out, so that a message's end can be waited for.
#[derive(Default)]
pub struct Outbox {
    chunks: VecDeque<Chunk>,
    /// Bytes of the first chunk that are written.
    offset: usize,
    enqueued: u64,
    written: u64,
}

enum Chunk {
    Bytes(Vec<u8>),
    Shared(Rc<[u8]>),
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// Packets are appended to one chunk up to this size.
const CHUNK_BYTES: usize = 4096;

impl Outbox {
    /// Appends what `write` appends.
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if !matches!(self.chunks.back(), Some(Chunk::Bytes(bytes)) if bytes.len() < CHUNK_BYTES) {
            self.chunks.push_back(Chunk::Bytes(Vec::new()));
        }
        if let Some(Chunk::Bytes(bytes)) = self.chunks.back_mut() {
            let before = bytes.len();
            write(bytes);
            self.enqueued += (bytes.len() - before) as u64;
        }
    }

    /// Appends a payload: a short one leaves in one piece with what is before it.
    pub fn push_shared(&mut self, bytes: Rc<[u8]>) {
        if bytes.len() > CHUNK_BYTES {
            self.enqueued += bytes.len() as u64;
            self.chunks.push_back(Chunk::Shared(bytes));
        } else if !bytes.is_empty() {
            self.push(|out| out.extend_from_slice(&bytes));
        }
    }

    /// What to write next; empty when nothing waits.
    pub fn front(&self) -> &[u8] {
        self.chunks.front().map_or(&[], |chunk| &chunk.bytes()[self.offset..])
    }

    /// `count` bytes of [`Outbox::front`] are written.
    pub fn wrote(&mut self, count: usize) {
        self.written += count as u64;
        self.offset += count;
        if self.chunks.front().is_some_and(|chunk| self.offset == chunk.bytes().len()) {
            self.chunks.pop_front();
            self.offset = 0;
        }
    }

    /// Drops what waits: the connection is gone.
    pub fn clear(&mut self) {
        *self = Self { enqueued: self.written, written: self.written, ..Self::default() };
    }

    /// Bytes that wait.
    pub fn unsent_bytes(&self) -> u64 {
        self.enqueued - self.written
    }

    /// Position behind the last byte put in.
    pub fn enqueued(&self) -> u64 {
        self.enqueued
    }

    /// Position behind the last byte written.
    pub fn written(&self) -> u64 {
        self.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_order_whatever_the_socket_takes() {
        let mut outbox = Outbox::default();
        outbox.push(|out| out.extend_from_slice(b"head"));
        outbox.push_shared(Rc::from(&b"payload"[..]));
        assert_eq!(outbox.front(), b"headpayload", "a short one leaves in one piece with what is before it");
        let long = vec![b'x'; CHUNK_BYTES + 1];
        outbox.push_shared(long.clone().into());
        outbox.push_shared(Rc::from(&b""[..]));
        outbox.push_shared(long.clone().into());
        outbox.push(|out| out.extend_from_slice(b"tail"));
        let mut seen = Vec::new();
        while outbox.unsent_bytes() > 0 {
            let front = outbox.front();
            let count = front.len().min(3);
            seen.extend_from_slice(&front[..count]);
            outbox.wrote(count);
        }
        assert_eq!(seen, [b"headpayload", &long[..], &long[..], b"tail"].concat());
        assert_eq!(outbox.written(), 15 + 2 * long.len() as u64);
        assert!(outbox.front().is_empty());
    }

    #[test]
    fn clearing_keeps_the_count_of_what_was_written() {
        let mut outbox = Outbox::default();
        outbox.push(|out| out.extend_from_slice(b"abc"));
        outbox.wrote(1);
        outbox.clear();
        assert_eq!((outbox.enqueued(), outbox.written(), outbox.unsent_bytes()), (1, 1, 0));
        assert!(outbox.front().is_empty());
    }
}
