//! A broker that does what a test says, byte for byte. It runs in the test's own thread: the server is another process,
//! so a test reads like the conversation it is about.

use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use super::packets::{self, *};
use super::{DEADLINE, wait_for};

/// A peer that takes no byte for this long has stopped reading.
const BLOCKED_AFTER: Duration = Duration::from_secs(1);

pub struct FakeBroker {
    listener: TcpListener,
}

impl FakeBroker {
    pub fn new() -> Self {
        Self::on(Ipv4Addr::LOCALHOST.into()).expect("a port")
    }

    /// Only on this address; fails where the machine does not have it.
    pub fn on(address: IpAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind((address, 0))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener })
    }

    pub fn port(&self) -> u16 {
        self.listener.local_addr().expect("an address").port()
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port())
    }

    /// The next connection, before anything was read from it.
    pub fn accept(&self) -> Peer {
        let stream = wait_for("a connection to the fake broker", || match self.listener.accept() {
            Ok((stream, _)) => Some(stream),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("accept: {error}"),
        });
        stream.set_nonblocking(false).expect("a stream that blocks");
        stream.set_read_timeout(Some(DEADLINE)).expect("a read timeout");
        stream.set_write_timeout(Some(DEADLINE)).expect("a write timeout");
        stream.set_nodelay(true).expect("no delay");
        Peer { stream: BufReader::new(stream) }
    }

    /// Whether no connection waits to be accepted.
    pub fn nobody_calls(&self) -> bool {
        matches!(self.listener.accept(), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// The next connection, greeted as a broker without a memory of the client does.
    pub fn welcome(&self) -> Peer {
        self.welcome_with(connack(false, 0))
    }

    /// The next connection, with this answer to its CONNECT.
    pub fn welcome_with(&self, answer: Vec<u8>) -> Peer {
        let mut peer = self.accept();
        peer.expect(CONNECT);
        peer.send(&answer);
        peer
    }
}

/// The server's end of a connection, as a broker sees it.
#[must_use = "dropped, it closes the connection"]
pub struct Peer {
    stream: BufReader<TcpStream>,
}

impl Peer {
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("the server takes it");
    }

    /// The next packet of `kind`. PINGREQs before it are answered, anything else fails the test.
    pub fn expect(&mut self, kind: u8) -> Packet {
        loop {
            let packet = packets::read(&mut self.stream).expect("a packet in time").expect("the connection stands");
            if packet.kind() == kind {
                return packet;
            }
            assert_eq!(packet.kind(), PINGREQ, "expected packet type {kind}, got {packet:?}");
            self.send(&packet_of(PINGRESP));
        }
    }

    /// The next packet, whatever it is; `None` at the end.
    pub fn next(&mut self) -> Option<Packet> {
        packets::read(&mut self.stream).expect("a packet in time")
    }

    /// Whether something can be read at once.
    pub fn has_input(&mut self) -> bool {
        if !self.stream.buffer().is_empty() {
            return true;
        }
        let stream = self.stream.get_ref();
        stream.set_nonblocking(true).expect("a stream that does not block");
        let there = stream.peek(&mut [0]).is_ok();
        stream.set_nonblocking(false).expect("a stream that blocks");
        there
    }

    /// Sends what the server takes before it takes nothing for a second; gives the number of bytes.
    pub fn send_until_blocked(&mut self, bytes: &[u8]) -> usize {
        let stream = self.stream.get_mut();
        stream.set_write_timeout(Some(BLOCKED_AFTER)).expect("a write timeout");
        let mut sent = 0;
        while sent < bytes.len() {
            match stream.write(&bytes[sent..]) {
                Ok(count) => sent += count,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                Err(error) => panic!("after {sent} bytes: {error}"),
            }
        }
        stream.set_write_timeout(Some(DEADLINE)).expect("a write timeout");
        sent
    }

    /// From now on small packets wait until the ones before are acknowledged, as with Mosquitto's default.
    #[cfg(feature = "analysis")]
    pub fn delay(&self) {
        self.stream.get_ref().set_nodelay(false).expect("delay");
    }

    /// Says that nothing more will be sent, and goes on reading.
    pub fn close_half(&self) {
        self.stream.get_ref().shutdown(Shutdown::Write).expect("a connection");
    }

    /// Grants the next SUBSCRIBE and gives back its filter.
    pub fn grant(&mut self) -> String {
        let subscribe = self.expect(SUBSCRIBE);
        let qos = *subscribe.body.last().expect("a QoS");
        self.send(&suback(subscribe.pid(), qos));
        subscribe.filter()
    }

    /// The connection must end, with nothing but PINGREQs before it.
    pub fn expect_end(&mut self) {
        while let Some(packet) = packets::read(&mut self.stream).expect("an end in time") {
            assert_eq!(packet.kind(), PINGREQ, "expected the end, got {packet:?}");
        }
    }

    /// Everything that comes until the connection ends.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).expect("an end in time");
        bytes
    }
}

/// A packet without a body.
pub fn packet_of(kind: u8) -> Vec<u8> {
    packet(kind << 4, &[])
}
