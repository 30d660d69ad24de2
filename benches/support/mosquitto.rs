//! A Mosquitto of our own on a free loopback port, and a bare client of it.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::packets;

/// A running Mosquitto, ended with its owner.
pub struct Mosquitto {
    /// Where it listens.
    pub port: u16,
    /// Where it listens with TLS, as `localhost`.
    pub tls_port: u16,
    child: Child,
    dir: PathBuf,
    subscriptions: Arc<AtomicUsize>,
}

impl Mosquitto {
    /// Starts one with unlimited queues, so that a slow subscriber loses nothing.
    pub fn start() -> Result<Self, String> {
        let port = || free_port().map_err(|error| error.to_string());
        let (port, tls_port) = (port()?, port()?);
        let dir = std::env::temp_dir().join(format!("mqtt-mcp-bench-{}", std::process::id()));
        std::fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let config = dir.join("mosquitto.conf");
        let (certificate, key) = (dir.join("broker.pem"), dir.join("broker.key"));
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(|error| error.to_string())?;
        for (path, text) in [(&certificate, made.cert.pem()), (&key, made.signing_key.serialize_pem())] {
            std::fs::write(path, text).map_err(|error| error.to_string())?;
        }
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 0\n\
             max_queued_bytes 0\nset_tcp_nodelay true\nlog_dest stderr\nlog_type subscribe\n\
             listener {tls_port} 127.0.0.1\ncertfile {}\nkeyfile {}\nuser root\n",
            certificate.display(),
            key.display()
        );
        std::fs::write(&config, text).map_err(|error| error.to_string())?;
        let paths = ["mosquitto", "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"];
        let run = |path: &&str| {
            Command::new(path).arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().ok()
        };
        let Some(mut child) = paths.iter().find_map(run) else {
            return Err("mosquitto is not installed: apt-get install mosquitto mosquitto-clients".into());
        };
        let subscriptions = Arc::new(AtomicUsize::new(0));
        if let Some(log) = child.stderr.take() {
            let count = subscriptions.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(log).lines().map_while(Result::ok) {
                    // "<time>: <client> <qos> <filter>"; anything else is not about subscriptions.
                    if line.split(' ').count() == 4 {
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        let this = Self { port, tls_port, child, dir, subscriptions };
        let ready = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        if wait(Duration::from_secs(5), ready) { Ok(this) } else { Err("mosquitto does not listen".into()) }
    }

    /// The certificate that it shows.
    pub fn certificate(&self) -> PathBuf {
        self.dir.join("broker.pem")
    }

    /// SUBSCRIBEs that it took so far.
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.load(Ordering::SeqCst)
    }

    /// Waits until it took more than `before` SUBSCRIBEs.
    pub fn wait_for_subscription(&self, before: usize) {
        assert!(wait(Duration::from_secs(10), || self.subscriptions() > before), "nobody subscribed");
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // It is ours, and it may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn wait(limit: Duration, ready: impl Fn() -> bool) -> bool {
    let end = Instant::now() + limit;
    while Instant::now() < end {
        if ready() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// MQTT over a plain socket and nothing else: what a round trip costs without a server of ours.
pub struct BareClient(TcpStream);

impl BareClient {
    /// Connects.
    pub fn connect(port: u16) -> io::Result<Self> {
        let mut socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        socket.write_all(&packets::connect(&format!("bench-{}", socket.local_addr()?.port())))?;
        match packets::read(&mut socket)? {
            (0x20, body) if body.get(1) == Some(&0) => Ok(Self(socket)),
            other => Err(io::Error::other(format!("no CONNACK but {other:?}"))),
        }
    }

    /// The socket.
    pub fn socket(&mut self) -> &mut TcpStream {
        &mut self.0
    }

    /// Publishes at QoS 1 and waits for the acknowledgement.
    pub fn round_trip(&mut self, packet: &[u8]) -> io::Result<Duration> {
        let began = Instant::now();
        self.0.write_all(packet)?;
        while packets::read(&mut self.0)?.0 != 0x40 {}
        Ok(began.elapsed())
    }

    /// Publishes at QoS 0, as fast as the broker reads, and waits until it has read everything.
    pub fn flood(&mut self, topic: &str, payload: &[u8], messages: usize) -> io::Result<()> {
        let packet = packets::publish(topic, None, payload);
        let per_write = (65_536 / packet.len()).clamp(1, messages);
        let many = packet.repeat(per_write);
        (0..messages / per_write).try_for_each(|_| self.0.write_all(&many))?;
        self.0.write_all(&many[..messages % per_write * packet.len()])?;
        self.0.write_all(&[0xc0, 0])?;
        while packets::read(&mut self.0)?.0 != 0xd0 {}
        Ok(())
    }
}
