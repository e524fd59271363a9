use proptest::prelude::*;

use super::*;

const BYTES_MAX: usize = 70_000;

/// A frame as a client sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x11, 0x22, 0x33, 0x44];
    let mut out = vec![first];
    match payload.len() {
        len @ 0..=125 => out.push(MASKED | u8::try_from(len).unwrap()),
        len @ 126..=0xFFFF => {
            out.push(MASKED | 126);
            out.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            out.push(MASKED | 127);
            out.extend((len as u64).to_be_bytes());
        }
    }
    out.extend(mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

/// Everything in a stream that comes in pieces of these sizes, and how it ended.
fn received(stream: &[u8], pieces: &[usize]) -> (Vec<Received>, Option<Broken>) {
    let mut incoming = Incoming::new(&[], BYTES_MAX);
    let (mut all, mut rest, mut sizes) = (Vec::new(), stream, pieces.iter().cycle());
    loop {
        loop {
            match incoming.next() {
                Ok(Some(received)) => all.push(received),
                Ok(None) => break,
                Err(broken) => return (all, Some(broken)),
            }
        }
        if rest.is_empty() {
            return (all, None);
        }
        let (piece, after) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
        incoming.room().extend_from_slice(piece);
        rest = after;
    }
}

fn at_once(stream: &[u8]) -> (Vec<Received>, Option<Broken>) {
    received(stream, &[usize::MAX])
}

fn text(text: &str) -> Received {
    Received::Text(Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn a_message_in_fragments_with_a_ping_between_is_one_message() {
    let stream = [frame(0x01, b"he"), frame(0x89, b"?"), frame(0x00, b"ll"), frame(0x80, b"o")].concat();
    let ping = Received::Ping(Bytes::from_static(b"?"));
    assert_eq!(at_once(&stream), (vec![ping, text("hello")], None));
}

#[test]
fn what_breaks_the_rules_ends_the_stream() {
    let cases: &[(&str, Vec<u8>, Broken)] = &[
        ("no mask", vec![0x81, 1, b'x'], Broken::Protocol),
        ("a reserved bit", frame(0xC1, b"x"), Broken::Protocol),
        ("an unknown opcode", frame(0x83, b"x"), Broken::Protocol),
        ("an unknown control opcode", frame(0x8B, b"x"), Broken::Protocol),
        ("a long ping", frame(0x89, &[0; 126]), Broken::Protocol),
        ("a ping in fragments", frame(0x09, b"x"), Broken::Protocol),
        ("a close of one byte", frame(0x88, b"x"), Broken::Protocol),
        ("the rest of nothing", frame(0x80, b"x"), Broken::Protocol),
        ("a message within another", [frame(0x01, b"x"), frame(0x81, b"y")].concat(), Broken::Protocol),
        ("a large frame", frame(0x81, &vec![b'x'; BYTES_MAX + 1]), Broken::TooLarge),
        ("a large claim", [&[0x82, 0xFF][..], &[0xFF; 12]].concat(), Broken::TooLarge),
        (
            "a message of nothing, without end",
            frame(0x01, b"").into_iter().chain(frame(0x00, b"").repeat(2_000)).collect(),
            Broken::TooLarge,
        ),
        (
            "a large message of small frames",
            [frame(0x01, &vec![b'x'; BYTES_MAX]), frame(0x80, b"x")].concat(),
            Broken::TooLarge,
        ),
    ];
    for (what, stream, broken) in cases {
        assert_eq!(at_once(stream), (vec![], Some(*broken)), "{what}");
    }
}

#[test]
fn a_frame_of_the_limit_itself_passes_and_text_must_be_utf8() {
    let largest = "x".repeat(BYTES_MAX);
    assert_eq!(at_once(&frame(0x81, largest.as_bytes())), (vec![text(&largest)], None));
    assert_eq!(at_once(&frame(0x81, &[0xFF])), (vec![Received::NotUtf8], None));
    // Half a character at the end of a fragment is no error.
    let split = [frame(0x01, &"é".as_bytes()[..1]), frame(0x80, &"é".as_bytes()[1..])].concat();
    assert_eq!(at_once(&split), (vec![text("é")], None));
}

#[test]
fn silence_holds_no_memory_and_a_claim_reserves_little() {
    let mut incoming = Incoming::new(&frame(0x81, b"hello"), BYTES_MAX);
    assert_eq!(incoming.next(), Ok(Some(text("hello"))));
    assert_eq!(incoming.bytes.capacity(), 0);
    incoming.room();
    incoming.settle();
    assert_eq!(incoming.bytes.capacity(), 0);
    incoming.room().extend_from_slice(&frame(0x81, &[b'x'; 60_000])[..8]);
    assert_eq!(incoming.next(), Ok(None));
    assert!(incoming.room().capacity() <= 2 * ROOM_BYTES_MAX);
}

proptest! {
    #[test]
    fn messages_come_out_as_they_went_in_however_they_are_cut(
        messages in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..4), 0..8),
        pieces in prop::collection::vec(1..400_usize, 1..6),
    ) {
        let mut stream = Vec::new();
        for fragments in &messages {
            for (place, fragment) in fragments.iter().enumerate() {
                let fin = if place + 1 == fragments.len() { FIN } else { 0 };
                stream.extend(frame(fin | if place == 0 { 2 } else { 0 }, fragment));
            }
        }
        let sent: Vec<_> = messages.iter().map(|fragments| Received::Binary(fragments.concat().into())).collect();
        prop_assert_eq!(received(&stream, &pieces), (sent, None));
    }

    #[test]
    fn no_bytes_make_it_panic_and_pieces_make_no_difference(
        stream in prop::collection::vec(any::<u8>(), 0..600),
        pieces in prop::collection::vec(1..50_usize, 1..6),
    ) {
        prop_assert_eq!(received(&stream, &pieces), at_once(&stream));
    }

    #[test]
    fn a_mask_taken_twice_is_none(payload in prop::collection::vec(any::<u8>(), 0..40), mask: [u8; 4]) {
        let mut twice = payload.clone();
        unmask(&mut twice, mask);
        unmask(&mut twice, mask);
        prop_assert_eq!(twice, payload);
    }
}
