//! What can go wrong below MQTT when the connection is TLS: cut, garbage and silence at each point.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{assert_answers, last_error};
use crate::support::certificates::{Authority, Wanted, trusting};
use crate::support::fake_broker::FakeBroker;
use crate::support::mosquitto::Mosquitto;
use crate::support::server::Server;

/// What happens to a connection once so many of the broker's bytes have passed.
#[derive(Clone, Copy)]
enum Then {
    Cut,
    Garbage,
    Silence,
}

/// Stands between the server and a broker. Its threads end with their connections.
struct Proxy {
    port: u16,
    /// The server's end of the last connection.
    last: Arc<Mutex<Option<TcpStream>>>,
}

impl Proxy {
    fn new(broker: &Mosquitto, passes: usize, then: Then) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let last = Arc::new(Mutex::new(None));
        let (to, broker_port) = (last.clone(), broker.port());
        std::thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, broker_port)) else { return };
                *to.lock().expect("nobody panics with it") = near.try_clone().ok();
                let (from_near, to_far) = (near.try_clone().expect("a handle"), far.try_clone().expect("a handle"));
                std::thread::spawn(move || pass(from_near, to_far, usize::MAX, Then::Cut));
                std::thread::spawn(move || pass(far, near, passes, then));
            }
        });
        Self { port, last }
    }

    fn url(&self) -> String {
        format!("mqtts://localhost:{}", self.port)
    }

    /// Says something in the broker's place.
    fn inject(&self, bytes: &[u8]) {
        let mut last = self.last.lock().expect("nobody panics with it");
        last.as_mut().expect("a connection").write_all(bytes).expect("the server takes it");
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, passes: usize, then: Then) {
    let (mut left, mut buffer) = (passes, [0; 4096]);
    while left > 0 {
        let room = left.min(buffer.len());
        match from.read(&mut buffer[..room]) {
            Ok(count @ 1..) if to.write_all(&buffer[..count]).is_ok() => left -= count,
            _ => break,
        }
    }
    match then {
        // Until the server hangs up, which the other direction sees.
        Then::Silence if left == 0 => return,
        Then::Garbage if left == 0 => _ = to.write_all(&[0xa5; 600]),
        _ => {}
    }
    let _ = (to.shutdown(Shutdown::Write), from.shutdown(Shutdown::Write));
}

/// In the first record's head and behind it, within the certificate, before the end.
const POINTS: [usize; 8] = [0, 1, 5, 6, 130, 300, 600, 700];

/// A broker, a server that trusts it, and the files behind both.
fn scene() -> (Mosquitto, Server, Authority) {
    let ca = Authority::new("Plant CA");
    (ca.issue("broker", &Wanted::default()).serve(""), trusting(&ca.file()), ca)
}

fn start(server: &mut Server, proxy: &Proxy, timeout_seconds: u64) -> Value {
    let arguments = json!({"connection_string": proxy.url(), "timeout_seconds": timeout_seconds});
    server.start_call("establish_connection", arguments)
}

#[test]
fn a_handshake_that_is_cut_or_broken_anywhere_fails_at_once_and_leaves_no_session() {
    let (broker, mut server, _files) = scene();
    for then in [Then::Cut, Then::Garbage] {
        for point in POINTS {
            let (proxy, started) = (Proxy::new(&broker, point, then), Instant::now());
            let id = start(&mut server, &proxy, 8);
            let error = server.failure(&id);
            assert_eq!(error["code"], "tls_failed", "{point}: {error}");
            let message = error["message"].as_str().expect("a message");
            assert!(
                ["the peer", "within the handshake", "changed it on its way"]
                    .iter()
                    .any(|words| message.contains(words)),
                "{point}: {error}"
            );
            assert!(started.elapsed() < Duration::from_secs(5), "not the deadline");
        }
    }
    assert_eq!(server.call("list_active_connections", json!({}))["total_count"], 0);
}

#[test]
fn a_handshake_that_stalls_anywhere_is_a_timeout_and_stops_nothing_else() {
    let (broker, mut server, _files) = scene();
    let proxies: Vec<_> = POINTS[..5].iter().map(|point| Proxy::new(&broker, *point, Then::Silence)).collect();
    let started = Instant::now();
    let calls: Vec<_> = proxies.iter().map(|proxy| start(&mut server, proxy, 1)).collect();
    assert_answers(&mut server);
    for id in calls {
        let error = server.failure(&id);
        assert_eq!(error["code"], "connect_timeout", "{error}");
        assert!(error["message"].as_str().expect("a message").contains("TLS handshake"), "{error}");
    }
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_peer_that_says_nothing_to_a_tls_client_is_a_timeout() {
    let (broker, mut server) = (FakeBroker::new(), Server::start());
    let arguments = json!({"connection_string": format!("mqtts://127.0.0.1:{}", broker.port()), "timeout_seconds": 1});
    let id = server.start_call("establish_connection", arguments);
    let _peer = broker.accept();
    assert_eq!(server.failure(&id)["code"], "connect_timeout");
}

#[test]
fn garbage_on_a_standing_connection_ends_it_and_the_session_comes_back() {
    let (broker, mut server, _files) = scene();
    for garbage in [&[0xa5; 600][..], b"\x17\x03\x03\x00\x20abcdefghijklmnopqrstuvwxyz012345"] {
        let proxy = Proxy::new(&broker, usize::MAX, Then::Cut);
        let session = server.connect(&proxy.url());
        proxy.inject(garbage);
        let row = server.wait_for_state(&session, "reconnecting");
        assert!(last_error(&row).starts_with("TLS failed"), "{row}");
        assert_eq!(server.wait_for_state(&session, "connected")["reconnects"], 1);
        server.call("close_connection", json!({"session_id": session}));
    }
}
