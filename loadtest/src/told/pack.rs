//! Version 2 in MessagePack: the same maps, their fields in any order.

use super::{Item, Told, is_aside};

/// Reads a frame.
pub(super) fn read(payload: &[u8]) -> Told<'_> {
    frame(payload).unwrap_or(Told::Unknown)
}

fn frame(payload: &[u8]) -> Option<Told<'_>> {
    let (mut reader, mut action, mut data) = (Reader(payload), None, None);
    for _ in 0..reader.map()? {
        match reader.text()? {
            "a" => action = Some(reader.number()?),
            "d" => data = Some(reader.value()?),
            _ => _ = reader.value()?,
        }
    }
    if !reader.0.is_empty() {
        return None;
    }
    told(action?, Reader(data?))
}

fn told(action: u64, mut data: Reader<'_>) -> Option<Told<'_>> {
    Some(match action {
        0 if data.field("v")?.number()? == 2 => Told::Welcome { seq: data.field("s")?.number()? },
        1 => Told::Roster,
        2 => Told::Message(data.item().filter(|item| item.group.is_some())?),
        3 => {
            let mut items = data.field("h")?;
            let count = items.array()?;
            Told::Page((0..count).map(|_| items.item()).collect::<Option<_>>()?)
        }
        5 => Told::Refusal(data.field("c")?.text()?.into()),
        other if is_aside(other) => Told::Aside,
        _ => return None,
    })
}

/// What is left to be read.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    /// A number of so many bytes, the highest first.
    fn big_endian(&mut self, bytes: usize) -> Option<u64> {
        Some(self.bytes(bytes)?.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn length(&mut self, bytes: usize) -> Option<usize> {
        usize::try_from(self.big_endian(bytes)?).ok()
    }

    fn map(&mut self) -> Option<usize> {
        match self.byte()? {
            short @ 0x80..=0x8f => Some(usize::from(short & 0x0f)),
            0xde => self.length(2),
            0xdf => self.length(4),
            _ => None,
        }
    }

    fn array(&mut self) -> Option<usize> {
        match self.byte()? {
            short @ 0x90..=0x9f => Some(usize::from(short & 0x0f)),
            0xdc => self.length(2),
            0xdd => self.length(4),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<u64> {
        match self.byte()? {
            short @ 0..=0x7f => Some(u64::from(short)),
            wide @ 0xcc..=0xcf => self.big_endian(1 << (wide - 0xcc)),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = match self.byte()? {
            short @ 0xa0..=0xbf => usize::from(short & 0x1f),
            0xd9 => self.length(1)?,
            0xda => self.length(2)?,
            0xdb => self.length(4)?,
            _ => return None,
        };
        str::from_utf8(self.bytes(length)?).ok()
    }

    /// A whole value, unread. Without recursion: the depth is the server's to choose.
    fn value(&mut self) -> Option<&'a [u8]> {
        let (begin, mut left) = (self.0, 1_usize);
        while left > 0 {
            left -= 1;
            left = left.checked_add(self.skip_one()?)?;
        }
        Some(&begin[..begin.len() - self.0.len()])
    }

    /// Skips a value, or the head of one that holds others: how many those are.
    fn skip_one(&mut self) -> Option<usize> {
        let first = self.byte()?;
        let skipped = match first {
            0x80..=0x8f => return Some(usize::from(first & 0x0f) * 2),
            0x90..=0x9f => return Some(usize::from(first & 0x0f)),
            0xdc | 0xdd => return self.length(2 << (first - 0xdc)),
            0xde | 0xdf => return self.length(2 << (first - 0xde))?.checked_mul(2),
            0xa0..=0xbf => usize::from(first & 0x1f),
            0xc4..=0xc6 => self.length(1 << (first - 0xc4))?,
            0xc7..=0xc9 => self.length(1 << (first - 0xc7))?.checked_add(1)?,
            0xd9..=0xdb => self.length(1 << (first - 0xd9))?,
            0xcc | 0xd0 => 1,
            0xcd | 0xd1 => 2,
            0xca | 0xce | 0xd2 => 4,
            0xcb | 0xcf | 0xd3 => 8,
            0xd4..=0xd8 => 1 + (1 << (first - 0xd4)),
            0xc1 => return None,
            // A small number, nothing, true or false.
            _ => 0,
        };
        self.bytes(skipped).map(|_| 0)
    }

    /// The value of a map's field.
    fn field(mut self, name: &str) -> Option<Self> {
        for _ in 0..self.map()? {
            if self.text()? == name {
                return Some(self);
            }
            self.value()?;
        }
        None
    }

    fn item(&mut self) -> Option<Item<'a>> {
        let (mut id, mut seq, mut time_ms, mut author, mut text, mut group) = Default::default();
        for _ in 0..self.map()? {
            match self.text()? {
                "i" => id = Some(self.text()?),
                "s" => seq = Some(self.number()?),
                "t" => time_ms = Some(self.number()?),
                "p" => author = Some(self.text()?),
                "m" => text = Some(self.text()?),
                "g" => group = Some(self.text()?.into()),
                _ => _ = self.value()?,
            }
        }
        let (id, text, author) = (id?.into(), text?.into(), author?.into());
        Some(Item { id, text, time_ms: time_ms?, author, seq: Some(seq?), group })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the server writes it.
    const MESSAGE: &[u8] =
        b"\x82\xa1a\x02\xa1d\x86\xa1g\xa2g0\xa1i\xd9 3f64664835d4396f0000000000000002\xa1s\x02\
        \xa1t\xcf\x00\x00\x01\xa2\x12\t\xe0\xf3\xa1p\xa2u0\xa1m\xa5hello";
    const PAGE: &[u8] =
        b"\x82\xa1a\x03\xa1d\x83\xa1g\xa2g0\xa1h\x91\x85\xa1i\xd9 3f64664835d4396f0000000000000001\
        \xa1s\x01\xa1t\xcf\x00\x00\x01\xa2\x12\t\xdc\x0c\xa1p\xa2u0\xa1m\xa5hello\xa4more\xc2";
    const WELCOME: &[u8] =
        b"\x82\xa1a\x00\xa1d\x84\xa1v\x02\xa3lim\x82\xa5frame\xce\x00\x01\x00\x00\xa4send\x00\
        \xa1s\x29\xa3exp\xcf\x00\x00\x01\xa2\x170<\xf2";

    #[test]
    fn frames_are_read_as_the_server_writes_them() {
        let Told::Message(item) = read(MESSAGE) else { panic!("{:?}", read(MESSAGE)) };
        let told = (&*item.id, &*item.text, item.time_ms, &*item.author, item.seq, item.group.as_deref());
        let id = "3f64664835d4396f0000000000000002";
        assert_eq!(told, (id, "hello", 1_795_598_967_027, "u0", Some(2), Some("g0")));
        assert_eq!(read(WELCOME), Told::Welcome { seq: 41 });
        let Told::Page(items) = read(PAGE) else { panic!("{:?}", read(PAGE)) };
        assert_eq!((items.len(), items[0].seq, &*items[0].text), (1, Some(1), "hello"));
        assert_eq!(read(b"\x82\xa1a\x01\xa1d\x80"), Told::Roster);
        assert_eq!(read(b"\x82\xa1a\x0a\xa1d\xc0"), Told::Aside);
        assert_eq!(read(b"\x82\xa1d\x81\xa1c\xa5muted\xa1a\x05"), Told::Refusal("muted".into()));
    }

    #[test]
    fn what_is_cut_or_goes_on_is_unknown() {
        for whole in [MESSAGE, PAGE, WELCOME] {
            for cut in 0..whole.len() {
                assert_eq!(read(&whole[..cut]), Told::Unknown, "cut at {cut}");
            }
            assert_eq!(read(&[whole, b"\xc0"].concat()), Told::Unknown);
        }
    }

    #[test]
    fn depth_and_promises_cost_nothing() {
        let deep = [&b"\x82\xa1a\x0a\xa1d"[..], &[0x91; 100_000], b"\xc0"].concat();
        assert_eq!(read(&deep), Told::Aside);
        assert_eq!(read(b"\x82\xa1a\x0a\xa1d\xdd\xff\xff\xff\xff"), Told::Unknown);
        assert_eq!(read(b"\x82\xa1a\x03\xa1d\x81\xa1h\xdd\xff\xff\xff\xff"), Told::Unknown);
    }

    #[test]
    fn values_of_every_kind_are_skipped() {
        let values: [&[u8]; 16] = [
            b"\x7f",
            b"\xff",
            b"\xc0",
            b"\xc3",
            b"\xc4\x01x",
            b"\xc7\x01\x05x",
            b"\xca1234",
            b"\xcb12345678",
            b"\xcd12",
            b"\xd312345678",
            b"\xd4\x05x",
            b"\xd812345678123456789"[..18].as_ref(),
            b"\xda\x00\x01x",
            b"\xdc\x00\x01\xc0",
            b"\xde\x00\x01\xa1x\xc0",
            b"\x81\xa1x\x92\xc2\xc3",
        ];
        for value in values {
            let mut reader = Reader(value);
            assert_eq!((reader.value(), reader.0), (Some(value), &[][..]), "{value:x?}");
        }
        assert_eq!(Reader(b"\xc1").value(), None);
    }
}
