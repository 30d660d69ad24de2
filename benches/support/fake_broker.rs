//! A broker that accepts everyone and answers every SUBSCRIBE with exactly the flood it was last told, as fast as the
//! client reads. Nothing gets lost in it, so counts can be checked, and it is never the slower side.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::packets;

/// What a subscription gets.
#[derive(Clone)]
pub struct Flood {
    /// Packets that are sent again and again.
    cycle: Arc<[u8]>,
    cycle_messages: usize,
    /// How many messages in all.
    pub messages: usize,
    /// Payload of one huge message instead.
    huge_bytes: usize,
}

impl Flood {
    /// No message at all.
    pub fn none() -> Self {
        Self { cycle: Arc::from([]), cycle_messages: 1, messages: 0, huge_bytes: 0 }
    }

    /// `messages` over `topics` topics, their payloads made by `payload` for each place in the cycle. Where `messages` is no
    /// multiple of the cycle's length, the cycle is as long as they are many.
    pub fn of(messages: usize, topics: usize, cycle_messages: usize, payload: impl Fn(usize) -> Vec<u8>) -> Self {
        let cycle_messages = if messages.is_multiple_of(cycle_messages) { cycle_messages } else { messages };
        let packet = |n: usize| packets::publish(&topic(n % topics), None, &payload(n));
        let cycle: Vec<u8> = (0..cycle_messages).flat_map(packet).collect();
        Self { cycle: cycle.into(), cycle_messages, messages, huge_bytes: 0 }
    }

    /// Readings of about `bytes` bytes as JSON, as sensors send them.
    pub fn readings(messages: usize, topics: usize, bytes: usize) -> Self {
        Self::of(messages, topics, topics.max(1000), |n| reading(n, bytes))
    }

    /// One message with a payload of `bytes`.
    pub fn huge(bytes: usize) -> Self {
        Self { messages: 1, huge_bytes: bytes, ..Self::none() }
    }

    /// Bytes on the wire.
    pub fn wire_bytes(&self) -> usize {
        self.cycle.len() * (self.messages / self.cycle_messages)
    }

    fn send(&self, to: &mut TcpStream) -> io::Result<()> {
        if self.huge_bytes > 0 {
            let mut head = Vec::new();
            packets::publish_head(&mut head, &topic(0), None, self.huge_bytes);
            to.write_all(&head)?;
            let piece = vec![b'x'; 1 << 20];
            (0..self.huge_bytes / piece.len()).try_for_each(|_| to.write_all(&piece))?;
            return to.write_all(&piece[..self.huge_bytes % piece.len()]);
        }
        (0..self.messages / self.cycle_messages).try_for_each(|_| to.write_all(&self.cycle))
    }
}

/// `bench/site-1/line-23/device-123`
fn topic(n: usize) -> String {
    format!("bench/site-{}/line-{}/device-{n}", n % 4, n % 40)
}

/// A JSON object of exactly `bytes` bytes; few shapes, changing values, no error words.
pub fn reading(n: usize, bytes: usize) -> Vec<u8> {
    let mut text = format!(r#"{{"n":{n},"t":{}.{},"ok":true,"note":""#, n % 40, n % 10).into_bytes();
    assert!(text.len() + 2 <= bytes, "too short for a reading");
    text.resize(bytes - 2, b'a');
    text.extend(b"\"}");
    text
}

/// The broker; it ends with the benchmark.
pub struct FakeBroker {
    /// Where it listens.
    pub port: u16,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    flood: Flood,
    began: Option<Instant>,
}

impl FakeBroker {
    /// Listens on a free loopback port.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Mutex::new(Shared { flood: Flood::none(), began: None }));
        let served = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = served.clone();
                // A client that goes away ends its thread.
                std::thread::spawn(move || serve(client, &shared).ok());
            }
        });
        Ok(Self { port, shared })
    }

    /// What the next SUBSCRIBE gets.
    pub fn prepare(&self, flood: &Flood) {
        *locked(&self.shared) = Shared { flood: flood.clone(), began: None };
    }

    /// When the flood began.
    pub fn began(&self) -> Instant {
        locked(&self.shared).began.expect("nobody subscribed")
    }
}

fn locked(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(mut client: TcpStream, shared: &Mutex<Shared>) -> io::Result<()> {
    client.set_nodelay(true)?;
    client.set_read_timeout(Some(Duration::from_secs(120)))?;
    client.set_write_timeout(Some(Duration::from_secs(60)))?;
    loop {
        let (first, body) = packets::read(&mut client)?;
        match first >> 4 {
            1 => client.write_all(&[0x20, 2, 0, 0])?,
            3 if first & 6 == 2 => {
                let at = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
                client.write_all(&[0x40, 2, body[at], body[at + 1]])?;
            }
            8 => {
                client.write_all(&[0x90, 3, body[0], body[1], 0])?;
                let flood = {
                    let mut shared = locked(shared);
                    shared.began = Some(Instant::now());
                    std::mem::replace(&mut shared.flood, Flood::none())
                };
                flood.send(&mut client)?;
            }
            10 => client.write_all(&[0xb0, 2, body[0], body[1]])?,
            12 => client.write_all(&[0xd0, 0])?,
            14 => return Ok(()),
            _ => {}
        }
    }
}
