//! A connection to a broker as bytes: name look-up, TCP, and (with them) the only place that opens sockets.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_io::{Async, Timer};

use super::error::Trouble;
use super::policy::{Denied, Listed, Policy};
use super::tls::channel::{self, Channel};
use super::tls::{Facts, Shake, TlsOptions};
use super::url::Target;
use crate::limits::ADDRESS_TRY_MIN;
use crate::task;

/// Where to connect.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// What is wanted of TLS; `None` is without it.
    pub tls: Option<Rc<TlsOptions>>,
}

impl Endpoint {
    /// Where a connection string leads, with the default of TLS if it asks for TLS.
    pub fn of(target: &Target) -> Self {
        Self { host: target.host.clone(), port: target.port, tls: target.tls.then(Rc::default) }
    }
}

/// A part of connecting that is done. They come in this order; what failed is the one behind the last that came.
#[derive(Clone, Debug)]
pub enum Stage {
    /// The name was looked up (or needed no look-up): its addresses, in the order in which they are tried.
    Dns(Vec<SocketAddr>),
    /// This address took the connection, after those before it had their try.
    Tcp(SocketAddr),
    /// TLS stands, or failed (which the trouble behind it says) after the broker may have shown a certificate; not
    /// without it.
    Tls(Box<Facts>),
    /// The broker took CONNECT and accepted it with CONNACK.
    Connect,
}

/// Is given each stage of each attempt to connect, with the time it took.
pub type Observer = Rc<dyn Fn(Stage, Duration)>;

/// Tells an observer, if there is one, and measures.
pub struct Stages<'a> {
    observer: Option<&'a Observer>,
    since: Instant,
}

impl<'a> Stages<'a> {
    /// The first stage begins.
    pub fn new(observer: Option<&'a Observer>) -> Self {
        Self { observer, since: Instant::now() }
    }

    /// A stage is done and the next one begins.
    pub fn done(&mut self, stage: impl FnOnce() -> Stage) {
        if let Some(observe) = self.observer {
            observe(stage(), self.since.elapsed());
            self.since = Instant::now();
        }
    }
}

/// An open connection. Reads and writes never block.
pub struct Link {
    stream: Async<TcpStream>,
    channel: Option<Box<Channel>>,
}

/// Connects until `deadline`, to one address after the other, if `policy` allows it, and makes TLS if it is wanted.
pub async fn open(
    endpoint: &Endpoint,
    policy: &Policy,
    stages: &mut Stages<'_>,
    deadline: Instant,
) -> Result<Link, Trouble> {
    if endpoint.tls.is_some() {
        channel::check()?;
    }
    let mut link = connect(endpoint, policy, stages, deadline).await?;
    if let Some(options) = &endpoint.tls {
        let secured = until(deadline, pin!(link.secure(options, &endpoint.host))).await;
        let secured = secured.unwrap_or(Err(Trouble::Timeout("the TLS handshake")));
        if let (Some(channel), Ok(()) | Err(Trouble::Tls(_))) = (&link.channel, &secured) {
            stages.done(|| Stage::Tls(Box::new(channel.facts())));
        }
        secured?;
    }
    Ok(link)
}

async fn connect(
    endpoint: &Endpoint,
    policy: &Policy,
    stages: &mut Stages<'_>,
    deadline: Instant,
) -> Result<Link, Trouble> {
    let denied = |Denied(why)| Trouble::Denied(why);
    let listed = policy.check_broker(&endpoint.host, endpoint.port).map_err(denied)?;
    let mut addresses =
        until(deadline, pin!(resolve(endpoint))).await.unwrap_or(Err(Trouble::Timeout("the name look-up")))?;
    stages.done(|| Stage::Dns(addresses.clone()));
    if listed == Listed::PerhapsByAddress {
        addresses.retain(|address| policy.allows_address(address.ip(), address.port()));
        if addresses.is_empty() {
            return Err(denied(policy.other_broker()));
        }
    }
    let (stream, address) = connect_any(&addresses, deadline).await?;
    stages.done(|| Stage::Tcp(address));
    Link::new(stream).map_err(|error| Trouble::Unreachable(error.to_string()))
}

/// The first of `addresses` that takes a connection; each that is silent gets its share of the time that is left.
async fn connect_any(addresses: &[SocketAddr], deadline: Instant) -> Result<(Async<TcpStream>, SocketAddr), Trouble> {
    let mut last = None;
    for (index, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / (addresses.len() - index) as u32;
        let try_until = (Instant::now() + share.max(ADDRESS_TRY_MIN)).min(deadline);
        match until(try_until, pin!(Async::<TcpStream>::connect(*address))).await {
            Some(Ok(stream)) => return Ok((stream, *address)),
            refused => last = Some((address, refused.and_then(Result::err))),
        }
    }
    Err(match last {
        Some((address, Some(error))) => Trouble::Unreachable(format!("{address}: {}", plain(&error))),
        Some((_, None)) => Trouble::Timeout("the TCP connection"),
        None => Trouble::NameLookup("it has no address".into()),
    })
}

impl Link {
    fn new(stream: Async<TcpStream>) -> io::Result<Self> {
        stream.get_ref().set_nodelay(true)?;
        Ok(Self { stream, channel: None })
    }

    async fn secure(&mut self, options: &TlsOptions, host: &str) -> Result<(), Trouble> {
        let channel = self.channel.insert(Box::new(Channel::prepare(options, host).await?));
        let lost = |error: io::Error| Trouble::Lost(plain(&error));
        loop {
            match channel.shake(&mut self.stream.get_ref())? {
                Shake::Done => break,
                Shake::Readable => poll_fn(|cx| self.stream.poll_readable(cx)).await.map_err(lost)?,
                Shake::Writable => poll_fn(|cx| self.stream.poll_writable(cx)).await.map_err(lost)?,
            }
        }
        Ok(())
    }

    /// Reads what is there; `WouldBlock` when nothing is, 0 at the end.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.channel {
            Some(channel) => channel.read(&mut self.stream.get_ref(), buffer),
            None => self.stream.get_ref().read(buffer),
        }
    }

    /// Writes what the socket takes; `WouldBlock` when it takes nothing: then it must be called with the same beginning
    /// again.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.channel {
            Some(channel) => channel.write(&mut self.stream.get_ref(), bytes),
            None => self.stream.get_ref().write(bytes),
        }
    }

    /// Ready when [`Link::read`] may give something.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.channel {
            Some(channel) if channel.has_news() => Poll::Ready(Ok(())),
            _ => self.stream.poll_readable(cx),
        }
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
    pub fn finish(&mut self) {
        if let Some(channel) = &mut self.channel {
            channel.finish(&mut self.stream.get_ref());
        }
        // The peer may have gone already, which is as good.
        let _ = self.stream.get_ref().shutdown(Shutdown::Write);
    }

    /// Why reading or writing failed.
    pub fn broken(&self, error: &io::Error) -> Trouble {
        let explained = self.channel.as_ref().and_then(|channel| channel.explain(Some(error)));
        explained.map_or_else(|| Trouble::Lost(plain(error)), Trouble::Tls)
    }

    /// Why the peer has ended it, if TLS knows.
    pub fn ended(&self) -> Option<Trouble> {
        self.channel.as_ref().and_then(|channel| channel.explain(None)).map(Trouble::Tls)
    }
}

/// The future's value, or `None` at the deadline. It is pinned where it is made: a future that is moved stands twice in
/// the state of whoever waits for it, and each session keeps such a state.
pub async fn until<T>(deadline: Instant, mut future: Pin<&mut dyn Future<Output = T>>) -> Option<T> {
    let mut timer = Timer::at(deadline);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Pin::new(&mut timer).poll(cx).map(|_| None),
    })
    .await
}

/// A literal address needs no look-up, and `localhost` is the loopback everywhere (RFC 6761, 6.3): no helper thread and
/// no resolver for them, which would be the larger part of what such a session costs.
async fn resolve(endpoint: &Endpoint) -> Result<Vec<SocketAddr>, Trouble> {
    let (host, port) = (endpoint.host.clone(), endpoint.port);
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    if host.eq_ignore_ascii_case("localhost") {
        // The last one's refusal is told, and not every machine has IPv6.
        return Ok(vec![(Ipv6Addr::LOCALHOST, port).into(), (Ipv4Addr::LOCALHOST, port).into()]);
    }
    let found = task::aside(move || (host.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>)).await;
    found.map_err(|error| Trouble::NameLookup(plain(&error)))
}

/// An I/O error without the number that Rust appends.
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::net::TcpListener;

    use super::*;

    /// Connects; gives the stages that were told.
    fn stages(host: &str, port: u16) -> (Vec<String>, Result<Link, Trouble>) {
        let told = Rc::new(RefCell::new(Vec::new()));
        let to = told.clone();
        let observer: Observer = Rc::new(move |stage, _| to.borrow_mut().push(format!("{stage:?}")));
        let endpoint = Endpoint { host: host.into(), port, tls: None };
        let deadline = Instant::now() + Duration::from_secs(10);
        let link = smol::block_on(open(&endpoint, &Policy::default(), &mut Stages::new(Some(&observer)), deadline));
        (told.take(), link)
    }

    #[test]
    fn each_stage_that_is_done_is_told_in_order() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (told, link) = stages("127.0.0.1", port);
        assert!(link.is_ok());
        assert_eq!(told, [format!("Dns([127.0.0.1:{port}])"), format!("Tcp(127.0.0.1:{port})")]);
        drop((listener, link));
        let (told, link) = stages("127.0.0.1", port);
        assert!(matches!(link.err(), Some(Trouble::Unreachable(_))));
        assert_eq!(told, [format!("Dns([127.0.0.1:{port}])")]);
    }

    #[test]
    fn localhost_is_the_loopback_of_both_families_without_a_look_up() {
        let (listener, address) = listening("127.0.0.1");
        let port = address.port();
        let (told, link) = stages("LocalHost", port);
        assert!(link.is_ok());
        assert_eq!(told, [format!("Dns([[::1]:{port}, 127.0.0.1:{port}])"), format!("Tcp(127.0.0.1:{port})")]);
        drop((listener, link));
        let Some(Trouble::Unreachable(why)) = stages("localhost", port).1.err() else { panic!("refused") };
        assert!(why.starts_with("127.0.0.1"), "{why}");
    }

    fn listening(host: &str) -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((host, 0)).expect("a loopback address");
        let address = listener.local_addr().expect("its address");
        (listener, address)
    }

    /// Nobody listens there any more.
    fn refusing(host: &str) -> SocketAddr {
        listening(host).1
    }

    /// A listener whose queue is full: the kernel answers no further connection.
    fn silent() -> (TcpListener, SocketAddr, Vec<TcpStream>) {
        let (listener, address) = listening("127.0.0.3");
        rustix::net::listen(&listener, 0).expect("a short queue");
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
            queued.push(stream);
        }
        (listener, address, queued)
    }

    fn connected(addresses: &[SocketAddr], within: Duration) -> Result<SocketAddr, Trouble> {
        let attempt = connect_any(addresses, Instant::now() + within);
        smol::block_on(attempt).map(|(stream, address)| {
            assert_eq!(stream.get_ref().peer_addr().expect("a peer"), address);
            address
        })
    }

    #[test]
    fn an_address_that_refuses_gives_way_to_the_next_of_either_family() {
        let (_listener, good) = listening("127.0.0.2");
        let addresses = [refusing("127.0.0.1"), refusing("::1"), good];
        assert_eq!(connected(&addresses, Duration::from_secs(5)), Ok(good));
        let (_listener, good) = listening("::1");
        assert_eq!(connected(&[refusing("127.0.0.1"), good], Duration::from_secs(5)), Ok(good));
    }

    #[test]
    fn an_address_that_is_silent_leaves_the_next_its_share_of_the_time() {
        let (_listener, good) = listening("127.0.0.2");
        let (_full, dead, _queued) = silent();
        assert_eq!(connected(&[dead, good], Duration::from_secs(5)), Ok(good));
        let trouble = connected(&[dead], Duration::from_millis(300)).expect_err("silence");
        assert_eq!(trouble, Trouble::Timeout("the TCP connection"));
    }

    #[test]
    fn the_last_refusal_is_told_with_its_address() {
        let bad = refusing("127.0.0.1");
        let Err(Trouble::Unreachable(why)) = connected(&[bad], Duration::from_secs(5)) else { panic!("refused") };
        assert!(why.contains(&bad.to_string()), "{why}");
    }
}
