//! What a snapshot says comes back, and nothing else does.

use std::time::Duration;

use larder_core::entry::TagStamp;
use larder_core::{EntryMeta, Stamp, Timestamp};

use super::*;
use crate::snapshot::format::Encoder;

fn header() -> Header {
    Header { cache: "users".to_owned(), taken_at: Timestamp::from_micros(1_234_567) }
}

fn record(key: &str, value: &'static [u8]) -> Record {
    let meta = EntryMeta {
        stamp: Stamp { time: Timestamp::from_micros(99), origin: 7 },
        soft_deadline: Some(Timestamp::from_micros(1_000)),
        hard_deadline: Some(Timestamp::from_micros(500)),
        tags: vec![TagStamp { tag: 5, version: 6 }],
        format: 2,
        ..EntryMeta::default()
    };
    let idle = Idle { ttl: Some(Duration::from_secs(9)), used_at: Timestamp::from_micros(4) };
    Record { key: key.to_owned(), idle: Some(idle), entry: Entry { value: value.into(), meta } }
}

fn records() -> Vec<Record> {
    let endless = Idle { ttl: None, used_at: Timestamp::from_micros(8) };
    vec![
        record("a", b"Ada"),
        Record { idle: None, ..record("b", b"") },
        Record { idle: Some(endless), ..record("é", b"Bob") },
    ]
}

fn snapshot(records: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::begin(&header(), &mut bytes);
    for Record { key, idle, entry } in records {
        encoder.record(key, *idle, entry, &mut bytes).unwrap();
    }
    assert_eq!(encoder.end(&mut bytes), records.len() as u64);
    bytes
}

/// The records before the damage, and what is said of it.
fn read(bytes: &[u8]) -> (Vec<Record>, Option<CacheError>) {
    let mut read = Vec::new();
    let mut decoder = match Decoder::open(bytes) {
        Ok(decoder) => decoder,
        Err(error) => return (read, Some(error)),
    };
    loop {
        match decoder.next() {
            Ok(Some(record)) => read.push(record),
            Ok(None) => return (read, None),
            Err(error) => {
                assert_eq!(decoder.next().unwrap(), None, "nothing follows an error");
                return (read, Some(error));
            }
        }
    }
}

#[test]
fn what_was_written_comes_back() {
    for count in 0..=3 {
        let (records, bytes) = (&records()[..count], snapshot(&records()[..count]));
        assert_eq!(Decoder::open(&*bytes).unwrap().header(), &header());
        let (found, damage) = read(&bytes);
        assert_eq!(found, records);
        assert!(damage.is_none(), "{damage:?}");
    }
}

#[test]
fn a_snapshot_cut_at_any_length_says_so_and_gives_the_whole_records_before() {
    let (records, bytes) = (records(), snapshot(&records()));
    for length in 0..bytes.len() {
        let (found, damage) = read(&bytes[..length]);
        assert!(damage.is_some(), "{length}");
        assert_eq!(found, records[..found.len()], "{length}");
    }
    let (found, damage) = read(&bytes[..bytes.len() - HEAD_LEN]);
    assert_eq!(found.len(), 3, "only the trailer is missing");
    assert_eq!(damage.unwrap().context("record"), Some("4"));
}

#[test]
fn no_flipped_bit_goes_unnoticed() {
    let (records, mut bytes) = (records(), snapshot(&records()));
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        let (found, damage) = read(&bytes);
        assert!(damage.is_some(), "bit {bit}");
        assert_eq!(found, records[..found.len()], "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn whole_records_that_are_lost_swapped_or_doubled_are_noticed_at_the_end() {
    let all = records();
    let empty = snapshot(&[]).len() - HEAD_LEN;
    let part = |index: usize| snapshot(&all[index..=index])[empty..].to_vec();
    let bytes = snapshot(&all);
    let trailer = &bytes[bytes.len() - HEAD_LEN..];
    for order in [&[0, 1][..], &[0, 2, 1], &[0, 1, 2, 2], &[]] {
        let mut bytes = bytes[..empty].to_vec();
        for index in order {
            let part = part(*index);
            bytes.extend_from_slice(&part[..part.len() - HEAD_LEN]);
        }
        bytes.extend_from_slice(trailer);
        let (found, damage) = read(&bytes);
        assert_eq!(found.len(), order.len());
        assert!(damage.is_some(), "{order:?}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(read(&longer).1.unwrap().context("reason"), Some("something follows its end"));
}

#[test]
fn foreign_bytes_and_later_versions_are_told_apart() {
    for foreign in [&b""[..], b"{\"users\": 1}", &[0; 100], &[0xff; 9]] {
        assert_eq!(read(foreign).1.unwrap().message(), "this is no snapshot");
    }
    let mut later = snapshot(&records());
    later[9] = 2;
    assert_eq!(read(&later).1.unwrap().context("version"), Some("2"));
}

#[test]
fn an_entry_that_does_not_fit_leaves_the_snapshot_as_it_was() {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::begin(&header(), &mut bytes);
    let whole = record("a", b"Ada");
    encoder.record("a", whole.idle, &whole.entry, &mut bytes).unwrap();
    let mut tagged = record("b", b"");
    tagged.entry.meta.tags = vec![TagStamp { tag: 1, version: 1 }; 40];
    assert!(encoder.record("b", None, &tagged.entry, &mut bytes).is_err());
    assert!(encoder.record(&"k".repeat(1 << 16), None, &whole.entry, &mut bytes).is_err());
    encoder.end(&mut bytes);
    assert_eq!(read(&bytes).0, [whole]);
}

#[test]
fn a_length_that_lies_asks_for_no_memory() {
    let mut bytes = snapshot(&[]);
    bytes.truncate(bytes.len() - HEAD_LEN);
    let mut head = [0; HEAD_LEN];
    head[0] = RECORD;
    head[4..8].copy_from_slice(&u32::try_from(MAX_ENTRY).unwrap().to_be_bytes());
    let crc = crc32c::crc32c(&head[..24]).to_be_bytes();
    head[24..].copy_from_slice(&crc);
    bytes.extend_from_slice(&head);
    assert_eq!(read(&bytes).1.unwrap().context("reason"), Some("it ends too early"));
    let last = bytes.len() - HEAD_LEN;
    bytes[last + 4] = 0xff;
    let crc = crc32c::crc32c(&bytes[last..last + 24]).to_be_bytes();
    bytes[last + 24..].copy_from_slice(&crc);
    assert_eq!(read(&bytes).1.unwrap().context("reason"), Some("its lengths are impossible"));
}

/// Makes the checksums right as far as the lengths lead, which no chance does.
fn repair(bytes: &mut [u8]) {
    if bytes.len() < HEADER_LEN + 4 {
        return;
    }
    let mut at = HEADER_LEN + usize::from(u16::from_be_bytes(array(bytes, 10)));
    let Some(covered) = bytes.get(..at) else { return };
    let crc = crc32c::crc32c(covered).to_be_bytes();
    let Some(field) = bytes.get_mut(at..at + 4) else { return };
    field.copy_from_slice(&crc);
    at += 4;
    while let Some(head) = bytes.get(at..at + HEAD_LEN) {
        let mut head: [u8; HEAD_LEN] = array(head, 0);
        let crc = crc32c::crc32c(&head[..24]).to_be_bytes();
        head[24..].copy_from_slice(&crc);
        bytes[at..at + HEAD_LEN].copy_from_slice(&head);
        let lengths = (u16::from_be_bytes(array(&head, 2)), u32::from_be_bytes(array(&head, 4)));
        let body = at + HEAD_LEN;
        let end = body + usize::from(lengths.0) + lengths.1 as usize;
        let Some(covered) = bytes.get(body..end) else { return };
        let crc = record_checksum(&head, covered).to_be_bytes();
        let Some(field) = bytes.get_mut(end..end + 4) else { return };
        field.copy_from_slice(&crc);
        at = end + 4;
    }
}

#[test]
fn bytes_that_somebody_made_up_with_care_are_read_or_refused() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let whole = snapshot(&records());
    let mut outcomes = [0; 5];
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..bytes.len());
            match random.u8(..4) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes.insert(at, random.u8(..)),
                2 => bytes[at] = random.u8(..),
                _ => bytes[at] ^= 1 << random.u8(..8),
            }
        }
        repair(&mut bytes);
        let (found, damage) = read(&bytes);
        outcomes[found.len().min(3)] += 1;
        outcomes[4] += usize::from(damage.is_none());
    }
    assert!(outcomes.iter().all(|count| *count > 0), "all ways are taken: {outcomes:?}");
}
