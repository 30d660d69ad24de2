use super::*;

/// Feeds `bytes` in chunks of `chunk` and shows what came out.
fn framed(bytes: &[u8], chunk: usize, want: usize) -> Result<Vec<String>, Malformed> {
    let mut framer = Framer::default();
    let mut shown = Vec::new();
    for mut input in bytes.chunks(chunk) {
        while let Some(packet) = framer.next(&mut input, |_| want)? {
            shown.push(match packet {
                Packet::Publish(m) => {
                    format!(
                        "{} {:?} {} q{} {:?} r{} d{}",
                        m.topic, m.payload, m.payload_bytes, m.qos, m.pid, m.retain, m.dup
                    )
                }
                other => format!("{other:?}"),
            });
        }
    }
    Ok(shown)
}

fn stream() -> Vec<u8> {
    let mut bytes = vec![0x20, 2, 0, 0];
    publish_head(&mut bytes, "a/b", 0, 0, false, false, 3);
    bytes.extend(b"one");
    publish_head(&mut bytes, "a/ü", 2, 77, true, true, 0);
    publish_head(&mut bytes, "big", 1, 5, false, false, 300);
    bytes.extend([b'x'; 300]);
    bytes.extend([0x90, 3, 0, 9, 1, 0x90, 3, 0, 10, 0x80, 0xb0, 2, 0, 1, 0xd0, 0]);
    bytes.extend([0x40, 2, 1, 0, 0x50, 2, 0, 2, 0x62, 2, 0, 3, 0x70, 2, 0, 4]);
    bytes
}

#[test]
fn packets_are_the_same_however_the_bytes_are_split() {
    let bytes = stream();
    let whole = framed(&bytes, bytes.len(), usize::MAX).expect("packets");
    assert_eq!(whole.len(), 12);
    assert_eq!(whole[1], "a/b [111, 110, 101] 3 q0 None rfalse dfalse");
    assert_eq!(whole[2], "a/ü [] 0 q2 Some(77) rtrue dtrue");
    for chunk in 1..40 {
        assert_eq!(framed(&bytes, chunk, usize::MAX).expect("packets"), whole, "chunks of {chunk}");
    }
}

#[test]
fn a_large_payload_costs_what_is_wanted_of_it_and_is_counted_whole() {
    let mut head = Vec::new();
    let payload_bytes = 200 << 20;
    publish_head(&mut head, "big", 1, 5, false, false, payload_bytes);
    let mut framer = Framer::default();
    let mut input = head.as_slice();
    assert_eq!(framer.next(&mut input, |_| 10), Ok(None));
    let block = vec![b'x'; 1 << 20];
    for _ in 0..199 {
        let mut input = block.as_slice();
        assert_eq!(framer.next(&mut input, |_| 10), Ok(None));
    }
    assert!(framer.body.capacity() <= READ_CHUNK_BYTES);
    let mut last = block.clone();
    last.extend([0xd0, 0]);
    let mut input = last.as_slice();
    let Ok(Some(Packet::Publish(message))) = framer.next(&mut input, |_| 10) else { panic!("no message") };
    assert_eq!((message.payload, message.payload_bytes, message.pid), (&[b'x'; 10][..], payload_bytes, Some(5)));
    assert_eq!(framer.next(&mut input, |_| 10), Ok(Some(Packet::Pingresp)));
}

#[test]
fn what_a_broker_must_not_send_is_refused_with_its_reason() {
    let cases: [(&[u8], &str); 24] = [
        (&[0x10, 0], "must not send"),
        (&[0x82, 5, 0, 1], "must not send"),
        (&[0xc0, 0], "must not send"),
        (&[0xe0, 0], "must not send"),
        (&[0x00], "must not send"),
        (&[0xf0], "must not send"),
        (b"HTTP/1.1 400", "reserved flags"),
        (b"SSH-2.0-OpenSSH", "reserved flags"),
        (&[0x36], "QoS 3"),
        (&[0x38], "DUP at QoS 0"),
        (&[0x21, 2, 0, 0], "reserved flags"),
        (&[0x60, 2, 0, 1], "reserved flags"),
        (&[0x20, 0], "remaining length"),
        (&[0x40, 0], "remaining length"),
        (&[0x40, 3], "remaining length"),
        (&[0x90, 2], "remaining length"),
        (&[0xd0, 1], "remaining length"),
        (&[0x30, 2], "remaining length"),
        (&[0x30, 0xff, 0xff, 0xff, 0xff], "more than four bytes"),
        (&[0x20, 2, 2, 0], "CONNACK"),
        (&[0x20, 2, 1, 5], "CONNACK"),
        (&[0x40, 2, 0, 0], "packet id 0"),
        (&[0x32, 5, 0, 1, b'a', 0, 0], "packet id 0"),
        (&[0x90, 3, 0, 1, 3], "SUBACK"),
    ];
    for (bytes, reason) in cases {
        for chunk in [1, bytes.len()] {
            let Err(Malformed(told)) = framed(bytes, chunk, 100) else { panic!("{bytes:x?} was accepted") };
            assert!(told.contains(reason), "{bytes:x?}: {told}");
        }
    }
    for (topic, reason) in
        [(&b""[..], "empty topic"), (b"a+", "wildcard"), (b"#", "wildcard"), (b"a\0", "NUL"), (b"\xff", "UTF-8")]
    {
        let mut bytes = vec![0x30, topic.len() as u8 + 3, 0, topic.len() as u8];
        bytes.extend(topic);
        bytes.push(b'!');
        for chunk in [1, bytes.len()] {
            let Err(Malformed(told)) = framed(&bytes, chunk, 100) else { panic!("{topic:x?} was accepted") };
            assert!(told.contains(reason), "{topic:x?}: {told}");
        }
    }
    assert!(framed(&[0x30, 4, 0, 9, b'a', b'b'], 6, 100).is_err());
}

#[test]
fn no_short_frame_panics() {
    for first in 0..=255u8 {
        for second in 0..=8u8 {
            for fill in [0, 1, 2, 0x80, 0xff] {
                let mut bytes = vec![first, second];
                bytes.resize(2 + usize::from(second) + 3, fill);
                for chunk in [1, 3, 64] {
                    let _ = framed(&bytes, chunk, 2);
                }
            }
        }
    }
}

#[test]
fn connect_carries_what_it_is_told() {
    let credentials =
        Credentials { username: Some("u".into()), password: Some(Secret::new(Zeroizing::new(b"pw".to_vec()))) };
    let info = ConnectInfo { client_id: "id", keep_alive_seconds: 60, clean_session: true, credentials: &credentials };
    let bytes = connect(&info).expect("connect");
    assert_eq!(bytes.as_slice(), b"\x10\x15\x00\x04MQTT\x04\xc2\x00\x3c\x00\x02id\x00\x01u\x00\x02pw");
}

#[test]
fn subscribe_and_unsubscribe_name_one_filter() {
    let mut out = Vec::new();
    subscribe(&mut out, 0x0102, "a/#", 1);
    assert_eq!(out, b"\x82\x08\x01\x02\x00\x03a/#\x01");
    out.clear();
    unsubscribe(&mut out, 7, "a");
    assert_eq!(out, b"\xa2\x05\x00\x07\x00\x01a");
}

#[test]
fn strings_that_the_codec_would_spoil_are_refused() {
    assert!(check_string(&"x".repeat(65_536)).is_err());
    assert!(check_string("a\0").is_err());
    assert!(check_string("ok ü").is_ok());
}
