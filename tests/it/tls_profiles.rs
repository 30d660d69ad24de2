//! TLS as a configured broker wants it: CA file, pinned fingerprint, client certificate, server name.

use serde_json::{Value, json};

use crate::support::Directory;
use crate::support::certificates::{Authority, Files, Wanted};
use crate::support::memory::find_in_memory;
use crate::support::mosquitto::Mosquitto;
use crate::support::server::{Server, command};

/// A server whose system has no CA certificates, with one configured broker for each of `entries`.
fn configured(broker: &Mosquitto, host: &str, entries: Value) -> (Server, Directory) {
    let directory = Directory::new();
    let mut brokers = entries;
    for entry in brokers.as_object_mut().expect("an object").values_mut() {
        entry["url"] = json!(format!("mqtts://{host}:{}", broker.port()));
    }
    let path = directory.write("config.json", &json!({"brokers": brokers}).to_string());
    let mut command = command(&["--config", path.to_str().expect("a path in UTF-8")]);
    command.env("SSL_CERT_FILE", "/nonexistent").env_remove("SSL_CERT_DIR");
    let mut server = Server::spawn(command);
    server.initialize("2025-11-25");
    (server, directory)
}

#[track_caller]
fn assert_connects(server: &mut Server, broker: &str) -> String {
    let opened = server.call("establish_connection", json!({"broker": broker}));
    assert_eq!((&opened["status"], &opened["tls"]), (&json!("connected"), &json!(true)));
    opened["session_id"].as_str().expect("an id").to_owned()
}

#[track_caller]
fn assert_refused(server: &mut Server, broker: &str, words: &str) {
    let error = server.fail("establish_connection", json!({"broker": broker, "timeout_seconds": 5}));
    assert_eq!((&error["code"], &error["retryable"]), (&json!("tls_failed"), &json!(false)), "{error}");
    assert!(error["message"].as_str().expect("a message").contains(words), "{words}: {error}");
}

fn with_client(ca: &Authority, client: &Files) -> Value {
    json!({"ca_file": ca.file(), "cert_file": client.certificate, "key_file": client.key})
}

#[test]
fn a_ca_file_decides_whom_a_broker_is_trusted_by() {
    let (ca, strangers) = (Authority::new("Plant CA"), Authority::new("Strangers CA"));
    let broker = ca.issue("broker", &Wanted::default()).serve("");
    let directory = Directory::new();
    let gone = directory.write("gone.pem", "");
    let entries = json!({
        "right": {"ca_file": ca.file()},
        "wrong": {"ca_file": strangers.file()},
        "gone": {"ca_file": gone},
        "none": {},
    });
    let (mut server, _files) = configured(&broker, "localhost", entries);
    assert_connects(&mut server, "right");
    assert_refused(&mut server, "wrong", "was issued by nobody among ca_file");
    assert_refused(&mut server, "gone", "gone.pem has no certificate in PEM form");
    std::fs::remove_file(gone).expect("the file is there");
    assert_refused(&mut server, "gone", "gone.pem cannot be read: no such file");
    assert_refused(&mut server, "none", "no CA certificates");
}

#[test]
fn a_pinned_fingerprint_is_the_one_certificate_that_is_accepted() {
    let ca = Authority::new("Plant CA");
    let files = ca.issue("broker", &Wanted { years: (2000, 2001), ..Wanted::default() });
    let broker = files.serve("");
    let entries = json!({
        "right": {"fingerprint_sha256": files.fingerprint},
        "wrong": {"fingerprint_sha256": "00".repeat(32)},
        "other-name": {"fingerprint_sha256": files.fingerprint, "server_name": "other.example"},
    });
    let (mut server, _files) = configured(&broker, "localhost", entries);
    assert_connects(&mut server, "right");
    assert_refused(&mut server, "wrong", &files.fingerprint);
    assert_refused(&mut server, "other-name", "not for other.example");
}

#[test]
fn a_server_name_is_compared_in_the_place_of_the_host() {
    let ca = Authority::new("Plant CA");
    let broker = ca.issue("broker", &Wanted { names: &["plant.example"], ..Wanted::default() }).serve("");
    let entries = json!({
        "named": {"ca_file": ca.file(), "server_name": "plant.example"},
        "unnamed": {"ca_file": ca.file()},
    });
    let (mut server, _files) = configured(&broker, "127.0.0.1", entries);
    assert_connects(&mut server, "named");
    assert_refused(&mut server, "unnamed", "is for plant.example, not for 127.0.0.1");
}

#[test]
fn a_client_certificate_opens_a_broker_that_wants_one_in_both_versions() {
    let (ca, strangers) = (Authority::new("Plant CA"), Authority::new("Strangers CA"));
    let (client, stranger, other) = (ca.client("client"), strangers.client("client"), ca.client("other"));
    for version in ["tlsv1.2", "tlsv1.3"] {
        let broker = ca.demanding(version);
        let mut mixed = with_client(&ca, &client);
        mixed["key_file"] = json!(other.key);
        let entries = json!({
            "given": with_client(&ca, &client),
            "stranger": with_client(&ca, &stranger),
            "none": {"ca_file": ca.file()},
            "mixed": mixed,
        });
        let (mut server, _files) = configured(&broker, "localhost", entries);
        let session = assert_connects(&mut server, "given");
        assert_refused(&mut server, "stranger", "refused the client certificate");
        assert_refused(&mut server, "none", "client certificate");
        assert_refused(&mut server, "mixed", "is not the key of cert_file");
        let publish = json!({"session_id": session, "topic": "t", "payload": "x", "qos": 1});
        assert_eq!(server.call("publish_message", publish)["delivery"], "acknowledged");
    }
}

#[test]
fn renewed_files_are_used_at_the_next_connect_and_no_key_file_stays_in_memory() {
    let (ca, strangers) = (Authority::new("Plant CA"), Authority::new("Strangers CA"));
    let (right, used) = (ca.client("client"), strangers.client("client"));
    let wants = format!("cafile {}\nrequire_certificate true", ca.file().display());
    let broker = ca.issue("broker", &Wanted::default()).serve(&wants);
    let (mut server, _files) = configured(&broker, "localhost", json!({"plant": with_client(&ca, &used)}));
    assert_refused(&mut server, "plant", "refused the client certificate");
    // The key stands in both files, as the one file of both that some tools write does.
    let read = |path| std::fs::read_to_string(path).expect("a file");
    let (certificate, key) = (read(&right.certificate), read(&right.key));
    std::fs::write(&used.certificate, format!("{key}{certificate}")).expect("a file");
    std::fs::write(&used.key, &key).expect("a file");
    assert_connects(&mut server, "plant");
    // Not the first bytes: an allocator writes over those of what it was given back.
    let lines: Vec<&str> =
        key.lines().filter(|line| !line.starts_with('-')).map(|line| &line[line.len() / 2..]).collect();
    assert!(lines.len() > 1, "{lines:?}");
    assert_eq!(find_in_memory(server.pid(), &lines), Vec::<&str>::new());
}
