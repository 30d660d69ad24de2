//! What a server reads and writes, fd 0 and fd 1 as a rule: bytes in, bytes out, neither ever blocking the loop.
//!
//! O_NONBLOCK belongs to the open file, which the shell or ssh shares, so it is never set on what we were given. stdin
//! is waited for and then read once. stdout is a socket (sent to without waiting), or a pipe or terminal, which is
//! opened anew so that O_NONBLOCK is ours alone, or, where that cannot be, written to in pieces that fit.

use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

use async_io::Async;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::net::SendFlags;
use smol::future::yield_now;

use crate::limits::WRITE_CHUNK_BYTES;
use crate::task;

/// What a server reads from and writes to.
pub struct Ends {
    /// Its stdin.
    pub stdin: OwnedFd,
    /// Its stdout.
    pub stdout: OwnedFd,
}

impl Ends {
    /// Duplicates of fd 0 and fd 1.
    pub fn of_process() -> io::Result<Self> {
        let (stdin, stdout) = (rustix::stdio::stdin(), rustix::stdio::stdout());
        Ok(Self { stdin: rustix::io::dup(stdin)?, stdout: rustix::io::dup(stdout)? })
    }
}

/// stdin.
pub enum Input {
    /// Something that can be waited for.
    Waited(Async<OwnedFd>),
    /// A file or /dev/null, which is always ready.
    Ready(OwnedFd),
}

impl Input {
    /// Reads from `stdin`.
    pub fn open(stdin: OwnedFd) -> io::Result<Self> {
        match Async::new_nonblocking(stdin.try_clone()?) {
            Ok(waited) => Ok(Self::Waited(waited)),
            // epoll refuses what is always ready.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(Self::Ready(stdin)),
            Err(error) => Err(error),
        }
    }

    /// Whether a person types.
    pub fn is_terminal() -> bool {
        io::IsTerminal::is_terminal(&io::stdin())
    }

    /// Reads once; 0 at the end. Sleeps for it only when it does not come before `looks_until`.
    pub async fn read(&self, buffer: &mut [u8], looks_until: impl Fn() -> Instant) -> io::Result<usize> {
        loop {
            let result = match self {
                Self::Waited(source) => {
                    // Another process may have read what was there: a plain read would block.
                    while !is_ready(source.get_ref(), PollFlags::IN)? {
                        if Instant::now() < looks_until() {
                            task::give_way().await;
                        } else {
                            source.readable().await?;
                        }
                    }
                    rustix::io::read(source.get_ref(), &mut *buffer)
                }
                Self::Ready(source) => {
                    yield_now().await;
                    rustix::io::read(source, &mut *buffer)
                }
            };
            match result {
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                other => return Ok(other?),
            }
        }
    }
}

/// stdout.
pub struct Output(Sink);

enum Sink {
    Socket(Async<OwnedFd>),
    /// Our own open file of a pipe or terminal, non-blocking.
    Own(Async<OwnedFd>),
    /// A shared one: writable for at least a page when it says so.
    Shared(Async<OwnedFd>),
    /// A file or /dev/null.
    Ready(OwnedFd),
}

impl Output {
    /// Writes to `stdout`.
    pub fn open(stdout: OwnedFd) -> io::Result<Self> {
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&stdout)?.st_mode);
        if kind == FileType::Socket {
            return Ok(Self(Sink::Socket(Async::new_nonblocking(stdout)?)));
        }
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        if matches!(kind, FileType::Fifo | FileType::CharacterDevice)
            && let Ok(own) = rustix::fs::open(format!("/proc/self/fd/{}", stdout.as_raw_fd()), flags, Mode::empty())
            && let Ok(own) = Async::new_nonblocking(own)
        {
            return Ok(Self(Sink::Own(own)));
        }
        match Async::new_nonblocking(stdout.try_clone()?) {
            Ok(shared) => Ok(Self(Sink::Shared(shared))),
            Err(_) => Ok(Self(Sink::Ready(stdout))),
        }
    }

    /// Writes all of a piece. `BrokenPipe` when nobody reads any more.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let result = match &self.0 {
                Sink::Socket(socket) => {
                    rustix::net::send(socket.get_ref(), bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
                }
                Sink::Own(file) => rustix::io::write(file.get_ref(), bytes),
                Sink::Shared(file) if !is_ready(file.get_ref(), PollFlags::OUT)? => Err(rustix::io::Errno::AGAIN),
                Sink::Shared(file) => rustix::io::write(file.get_ref(), &bytes[..bytes.len().min(WRITE_CHUNK_BYTES)]),
                Sink::Ready(file) => rustix::io::write(file, bytes),
            };
            match result {
                Ok(count) => bytes = &bytes[count..],
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => self.writable().await?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Ready when the reader of a pipe is gone; never for anything else.
    pub async fn closed(&self) {
        if let Sink::Own(file) | Sink::Shared(file) = &self.0 {
            // The writing end of a pipe becomes "readable" by its error alone.
            while file.readable().await.is_ok() {
                if is_ready(file.get_ref(), PollFlags::ERR).unwrap_or(true) {
                    return;
                }
                if !is_pipe(file.get_ref()) {
                    break;
                }
            }
        }
        std::future::pending().await
    }

    async fn writable(&self) -> io::Result<()> {
        match &self.0 {
            Sink::Socket(file) | Sink::Own(file) | Sink::Shared(file) => file.writable().await,
            Sink::Ready(_) => {
                yield_now().await;
                Ok(())
            }
        }
    }
}

/// Writes text for a person to stdout, for `--help` and its kin.
pub fn print(text: &str) {
    // Nobody may be reading, which is their choice.
    let _ = write_text(text);
}

/// Writes text for a person to stdout, now.
pub fn write_text(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Whether a person sees stdout.
pub fn prints_to_terminal() -> bool {
    io::IsTerminal::is_terminal(&io::stdout())
}

/// Writes a line for a person to stderr.
pub fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn is_pipe(file: &OwnedFd) -> bool {
    rustix::fs::fstat(file).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
}

fn is_ready(file: &OwnedFd, what: PollFlags) -> io::Result<bool> {
    let mut fds = [PollFd::new(file, what)];
    poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
    let always = if what == PollFlags::ERR { PollFlags::ERR } else { PollFlags::ERR | PollFlags::HUP };
    Ok(fds[0].revents().intersects(what | always))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use smol::future::zip;

    use super::*;

    #[test]
    fn input_is_read_whether_it_comes_while_it_is_looked_for_or_later() {
        for looks_for in [Duration::from_secs(60), Duration::ZERO] {
            let (reader, mut writer) = io::pipe().expect("a pipe");
            let input = Input::open(reader.into()).expect("a pipe can be waited for");
            let (asked, until) = (Cell::new(0), Instant::now() + looks_for);
            let looks_until = || {
                asked.set(asked.get() + 1);
                until
            };
            let mut buffer = [0; 8];
            let write = async {
                while asked.get() < 1 {
                    yield_now().await;
                }
                writer.write_all(b"line").expect("a reader");
            };
            let (count, ()) = smol::block_on(zip(input.read(&mut buffer, looks_until), write));
            assert_eq!(&buffer[..count.expect("bytes")], b"line", "{looks_for:?}");
        }
    }
}
