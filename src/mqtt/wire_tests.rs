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
    assert_eq!(framer.next(&mut input, |_| 600), Ok(None));
    let block = vec![b'x'; 1 << 20];
    for _ in 0..199 {
        let mut input = block.as_slice();
        assert_eq!(framer.next(&mut input, |_| 600), Ok(None));
    }
    assert!(framer.body.capacity() <= READ_CHUNK_BYTES);
    let mut last = block.clone();
    last.extend([0xd0, 0]);
    let mut input = last.as_slice();
    let Ok(Some(Packet::Publish(message))) = framer.next(&mut input, |_| 600) else { panic!("no message") };
    assert_eq!((message.payload, message.payload_bytes, message.pid), (&[b'x'; 600][..], payload_bytes, Some(5)));
    assert_eq!(framer.next(&mut input, |_| 600), Ok(Some(Packet::Pingresp)));
}

#[test]
fn each_packet_of_the_tables_has_the_outcome_that_the_standard_gives_it() {
    let tables = [
        include_str!("../../tests/data/packets/connack.txt"),
        include_str!("../../tests/data/packets/publish.txt"),
        include_str!("../../tests/data/packets/puback.txt"),
        include_str!("../../tests/data/packets/pubrec.txt"),
        include_str!("../../tests/data/packets/pubrel.txt"),
        include_str!("../../tests/data/packets/pubcomp.txt"),
        include_str!("../../tests/data/packets/suback.txt"),
        include_str!("../../tests/data/packets/unsuback.txt"),
        include_str!("../../tests/data/packets/pingresp.txt"),
        include_str!("../../tests/data/packets/others.txt"),
    ];
    for line in tables.iter().flat_map(|table| table.lines()) {
        let parts: Vec<_> = line.split(" | ").collect();
        let [_, _, bytes, outcome] = parts[..] else { panic!("not a line of a table: {line}") };
        let bytes = base16ct::mixed::decode_vec(bytes.replace(' ', "")).expect(line);
        for chunk in [1, 2, bytes.len()] {
            match framed(&bytes, chunk, 100) {
                Ok(packets) => assert!(outcome == "ok" && packets.len() == 1, "{line}: {packets:?}"),
                Err(Malformed(why)) => assert!(outcome != "ok" && why.contains(outcome), "{line}: {why}"),
            }
        }
    }
}

/// All frames of up to two bytes of body, of every first byte, in one piece and byte by byte.
#[test]
fn no_short_frame_panics() {
    let mut accepted = 0;
    for first in 0..=255u8 {
        for length in 0..=2u8 {
            for body in 0..=u16::MAX {
                let body = body.to_be_bytes();
                let bytes = [&[first, length][..], &body[..usize::from(length)]].concat();
                let whole = framed(&bytes, bytes.len(), 2);
                accepted += usize::from(whole == framed(&bytes, 1, 2) && whole.is_ok());
                if length == 0 || (length == 1 && body[1] > 0) {
                    break;
                }
            }
        }
    }
    // CONNACK 0 to 5 and a kept session, 65,535 ids for each of five acknowledgements, PINGRESP.
    assert_eq!(accepted, 7 + 5 * 65_535 + 1);
}

#[test]
fn longer_frames_of_odd_content_do_not_panic() {
    for first in 0..=255u8 {
        for length in 3..=12u8 {
            for fill in [0, 1, 2, 3, 0x2b, 0x61, 0x80, 0xc3, 0xff] {
                let mut bytes = vec![first, length];
                bytes.resize(2 + usize::from(length), fill);
                assert_eq!(framed(&bytes, bytes.len(), 100), framed(&bytes, 1, 100), "{bytes:x?}");
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
