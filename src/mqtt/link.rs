//! A connection to a broker as bytes: name look-up, TCP, and (with them) the only place that opens sockets.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::task::{Context, Poll};
use std::time::Instant;

use async_io::{Async, Timer};
use smol::future::or;

use super::error::Trouble;
use crate::limits::ADDRESS_TRY_MIN;

/// Where to connect.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether TLS is wanted.
    pub tls: bool,
}

/// An open connection. Reads and writes never block.
pub struct Link {
    stream: Async<TcpStream>,
}

/// Connects until `deadline`, to one address after the other.
pub async fn open(endpoint: &Endpoint, deadline: Instant) -> Result<Link, Trouble> {
    if endpoint.tls {
        return Err(Trouble::Tls("this build has no TLS, which mqtts:// needs".into()));
    }
    let addresses = until(deadline, resolve(endpoint)).await.unwrap_or(Err(Trouble::Timeout("the name look-up")))?;
    let mut trouble = Trouble::NameLookup("it has no address".into());
    for (index, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / (addresses.len() - index) as u32;
        let try_until = (Instant::now() + share.max(ADDRESS_TRY_MIN)).min(deadline);
        trouble = match until(try_until, Async::<TcpStream>::connect(*address)).await {
            Some(Ok(stream)) => return Link::new(stream).map_err(|error| Trouble::Unreachable(error.to_string())),
            Some(Err(error)) => Trouble::Unreachable(format!("{address}: {}", plain(&error))),
            None => Trouble::Timeout("the TCP connection"),
        };
    }
    Err(trouble)
}

impl Link {
    fn new(stream: Async<TcpStream>) -> io::Result<Self> {
        stream.get_ref().set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// Reads what is there; `WouldBlock` when nothing is, 0 at the end.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.get_ref().read(buffer)
    }

    /// Writes what the socket takes; `WouldBlock` when it takes nothing.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.get_ref().write(bytes)
    }

    /// Ready when [`Link::read`] may give something.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_readable(cx)
    }

    /// Ready when [`Link::write`] may take something.
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_writable(cx)
    }

    /// Acknowledge the next segment at once. A broker that leaves Nagle's algorithm on (Mosquitto's default) holds an
    /// answer back until we acknowledge what went before, which the kernel would put off by 40 ms.
    pub fn acknowledge_at_once(&self) {
        // Without it answers come later; nothing else changes.
        let _ = rustix::net::sockopt::set_tcp_quickack(self.stream.get_ref(), true);
    }

    /// Nothing more will be written: what was written is delivered first.
    pub fn finish(&self) {
        // The peer may have gone already, which is as good.
        let _ = self.stream.get_ref().shutdown(Shutdown::Write);
    }
}

/// The future's value, or `None` at the deadline.
pub async fn until<T>(deadline: Instant, future: impl Future<Output = T>) -> Option<T> {
    or(async { Some(future.await) }, async {
        Timer::at(deadline).await;
        None
    })
    .await
}

/// A literal address needs no look-up, and no helper thread for it.
async fn resolve(endpoint: &Endpoint) -> Result<Vec<SocketAddr>, Trouble> {
    if let Ok(address) = endpoint.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, endpoint.port)]);
    }
    let (host, port) = (endpoint.host.clone(), endpoint.port);
    let found = smol::unblock(move || (host.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>)).await;
    found.map_err(|error| Trouble::NameLookup(plain(&error)))
}

/// An I/O error without the number that Rust appends.
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_ascii_lowercase()
}
