//! A peer that breaks off, changes bytes, or takes and gives them in pieces.

#[path = "peer_tests.rs"]
mod peer;
#[path = "trust_tests.rs"]
mod trust;

use rustls::version::{TLS12, TLS13};

use super::*;
use peer::*;

#[test]
fn the_end_of_the_connection_anywhere_in_the_handshake_is_told_as_such() {
    let authority = Authority::new();
    let file = authority.file();
    for version in [&TLS12, &TLS13] {
        let mut whole = 0;
        let mut cut_at = 0;
        while cut_at <= whole {
            for end in [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset] {
                let mut server = Server::with(&authority, &broker(), &[version], None, |_| {});
                let (mut channel, mut wire) =
                    (prepare(&trusting(&file), "broker.test").expect("prepared"), Wire::new());
                let mut given = 0;
                let outcome = loop {
                    match channel.shake(&mut wire) {
                        Ok(Shake::Done) => break Ok(()),
                        Ok(_) => server.turn(&mut wire).map(drop).expect("the server is content"),
                        Err(trouble) => break Err(trouble),
                    }
                    whole = whole.max(given + wire.to_us.len());
                    wire.to_us.truncate(cut_at - given);
                    given += wire.to_us.len();
                    wire.end = (given == cut_at).then_some(end);
                };
                match outcome {
                    // Signatures differ by a few bytes in length.
                    Ok(()) => assert!(cut_at + 10 > whole, "all came at {cut_at} of {whole}"),
                    Err(trouble) if cut_at == 0 => assert_eq!(trouble.cause, Cause::NotTls, "{trouble}"),
                    Err(trouble) => assert_eq!(trouble.cause, Cause::Cut, "{cut_at}: {trouble}"),
                }
            }
            // The first bytes one by one, where lengths and types are; then in steps.
            cut_at = if cut_at < 16 || cut_at == whole { cut_at + 1 } else { (cut_at + 37).min(whole) };
        }
        assert!(whole > 500, "{whole}");
    }
}

#[test]
fn what_is_no_tls_is_told_as_such() {
    let authority = Authority::new();
    let file = authority.file();
    for answer in [
        &b"\x20\x02\x00\x00"[..],
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x15\x15\x15\x15\x15",
    ] {
        let (mut channel, mut wire) = (prepare(&trusting(&file), "broker.test").expect("prepared"), Wire::new());
        assert_eq!(channel.shake(&mut wire), Ok(Shake::Readable));
        wire.to_us.extend(answer);
        let trouble = channel.shake(&mut wire).expect_err("no TLS");
        assert_eq!(trouble.cause, Cause::NotTls, "{answer:?}: {trouble}");
    }
}

#[test]
fn an_old_version_is_told_as_such() {
    let authority = Authority::new();
    let file = authority.file();
    // The alert protocol_version, and a ServerHello of TLS 1.1.
    let mut hello = vec![22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    for answer in [vec![21, 3, 1, 0, 2, 2, 70], hello] {
        let (mut channel, mut wire) = (prepare(&trusting(&file), "broker.test").expect("prepared"), Wire::new());
        assert_eq!(channel.shake(&mut wire), Ok(Shake::Readable));
        wire.to_us.extend(&answer);
        let trouble = channel.shake(&mut wire).expect_err("an old version");
        assert_eq!(trouble.cause, Cause::Version, "{answer:?}: {trouble}");
    }
}

#[test]
fn changed_bytes_end_it_with_words_and_never_with_a_panic() {
    let authority = Authority::new();
    let file = authority.file();
    for at in 0..1200 {
        let mut server = Server::new(&authority, &broker());
        let (mut channel, mut wire) = (prepare(&trusting(&file), "broker.test").expect("prepared"), Wire::new());
        let mut given = 0;
        for _ in 0..10 {
            match channel.shake(&mut wire) {
                Ok(Shake::Done) => break,
                Ok(_) => _ = server.turn(&mut wire),
                Err(trouble) => {
                    assert!(!trouble.why.is_empty() && !trouble.hint().is_empty());
                    break;
                }
            }
            if let Some(byte) = wire.to_us.get_mut(at - given) {
                *byte ^= 1 << (at % 8);
            }
            given = (given + wire.to_us.len()).min(at);
        }
    }
}

#[test]
fn data_goes_both_ways_whatever_the_socket_takes_and_gives() {
    let authority = Authority::new();
    let file = authority.file();
    let data: Vec<_> = (0..100_000u32).map(|n| (n * 7) as u8).collect();
    for piece in [1, 7, 4096, usize::MAX] {
        let mut server = Server::new(&authority, &broker());
        let (mut channel, mut wire) = connect(&trusting(&file), &mut server).expect("a connection");
        wire.piece = piece;
        let (mut rest, mut said) = (data.as_slice(), Vec::new());
        while !rest.is_empty() {
            wire.room = 5000;
            match channel.write(&mut wire, rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            said.extend(server.turn(&mut wire).expect("the server is content"));
        }
        assert!(said == data, "what was written arrives, once and in order ({piece})");
        let (mut read, mut buffer) = (Vec::new(), vec![0; 16 << 10]);
        for part in data.chunks(30_000) {
            server.tls.writer().write_all(part).expect("room");
            let _ = server.turn(&mut wire);
            loop {
                match channel.read(&mut wire, &mut buffer) {
                    Ok(count) => {
                        read.extend_from_slice(&buffer[..count]);
                        if count < buffer.len() {
                            assert!(wire.to_us.is_empty(), "a short read has emptied the socket");
                            break;
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WouldBlock);
                        break;
                    }
                }
            }
        }
        assert!(read == data, "what was sent is read, once and in order ({piece})");
    }
}

#[test]
fn bytes_are_written_only_when_the_socket_has_them() {
    let authority = Authority::new();
    let file = authority.file();
    let mut server = Server::new(&authority, &broker());
    let (mut channel, mut wire) = connect(&trusting(&file), &mut server).expect("a connection");
    wire.room = 10;
    let message = [b'm'; 100];
    let blocked = channel.write(&mut wire, &message).expect_err("no room");
    assert_eq!((blocked.kind(), wire.room), (ErrorKind::WouldBlock, 0));
    wire.room = usize::MAX;
    // More has come behind it meanwhile: that is not part of what was taken.
    assert_eq!(channel.write(&mut wire, &[b'm'; 200]).expect("room"), 100);
    assert_eq!(server.turn(&mut wire).expect("the server is content"), message);
}

#[test]
fn a_close_is_said_and_an_end_is_told_after_the_data_before_it() {
    let authority = Authority::new();
    let file = authority.file();
    for in_order in [true, false] {
        let mut server = Server::new(&authority, &broker());
        let (mut channel, mut wire) = connect(&trusting(&file), &mut server).expect("a connection");
        server.tls.writer().write_all(b"last").expect("room");
        if in_order {
            server.tls.send_close_notify();
        } else {
            wire.end = Some(ErrorKind::UnexpectedEof);
        }
        let _ = server.turn(&mut wire);
        let mut buffer = [0; 16];
        assert_eq!(channel.read(&mut wire, &mut buffer).expect("data"), 4);
        assert!(channel.has_news(), "the socket may stay silent");
        assert_eq!(channel.read(&mut wire, &mut buffer).expect("the end"), 0);
        assert_eq!(channel.explain(None), None);
        channel.finish(&mut wire);
        let _ = server.turn(&mut wire);
        assert_eq!(server.tls.reader().read(&mut buffer).expect("close_notify"), 0);
    }
}

#[test]
fn garbage_behind_data_is_told_after_the_data() {
    let authority = Authority::new();
    let file = authority.file();
    let mut server = Server::new(&authority, &broker());
    let (mut channel, mut wire) = connect(&trusting(&file), &mut server).expect("a connection");
    server.tls.writer().write_all(b"good").expect("room");
    let _ = server.turn(&mut wire);
    wire.to_us.extend([23, 3, 3, 0, 32]);
    wire.to_us.extend([9; 32]);
    let mut buffer = [0; 16];
    assert_eq!(channel.read(&mut wire, &mut buffer).expect("data"), 4);
    assert!(channel.has_news(), "the socket may stay silent");
    let error = channel.read(&mut wire, &mut buffer).expect_err("garbage");
    let trouble = channel.explain(Some(&error)).expect("words");
    assert_eq!(trouble.cause, Cause::Peer, "{trouble}");
}

#[test]
fn a_broker_that_hangs_up_without_the_client_certificate_it_asked_for_is_understood() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let file = authority.file();
    let mut server = Server::with(&authority, &broker(), &[&TLS13], Some(&clients), |_| {});
    let (mut channel, mut wire) = (prepare(&trusting(&file), "broker.test").expect("prepared"), Wire::new());
    while channel.shake(&mut wire).expect("no trouble yet") != Shake::Done {
        let _ = server.turn(&mut wire);
    }
    // Its alert is lost with the connection.
    (wire.room, wire.end) = (0, Some(ErrorKind::ConnectionReset));
    let error = channel.write(&mut wire, b"CONNECT").expect_err("a reset");
    assert_eq!(channel.explain(Some(&error)).expect("words").cause, Cause::Unwelcome);
    assert_eq!(channel.explain(None).expect("words").cause, Cause::Unwelcome);
}

#[test]
fn a_record_that_trickles_in_gives_others_their_turn() {
    let authority = Authority::new();
    let file = authority.file();
    let mut server = Server::new(&authority, &broker());
    let (mut channel, mut wire) = connect(&trusting(&file), &mut server).expect("a connection");
    server.tls.writer().write_all(&[b'x'; 64]).expect("room");
    let _ = server.turn(&mut wire);
    wire.piece = 1;
    let (mut turns, mut buffer) = (0, [0; 64]);
    while let Err(error) = channel.read(&mut wire, &mut buffer) {
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        turns += 1;
    }
    assert_eq!((turns, buffer), (wire_bytes(64) / TLS_READS_WITHOUT_DATA, [b'x'; 64]));
}

/// Bytes of a record of TLS 1.3 with so much data: head, type and tag.
fn wire_bytes(data: usize) -> usize {
    5 + data + 1 + 16
}
