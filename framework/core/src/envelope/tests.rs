use super::*;

/// What `full_entry` looks like, for ever.
const FULL: &str = concat!(
    "c45e010000020008", // magic, version, flags, serializer, codec, length
    "000647a8dd4d4000", // stamp: time
    "deadbeef00000007", // stamp: origin, epoch
    "000647a8dd4d4001000647a8dd4d4002", // deadlines
    "000004d2",         // load cost
);

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn micros(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn full_entry() -> Entry {
    Entry {
        value: Bytes::from_static(b"value"),
        meta: EntryMeta {
            stamp: Stamp { time: micros(0x0006_47a8_dd4d_4000), origin: 0xdead_beef },
            epoch: 7,
            soft_deadline: Some(micros(0x0006_47a8_dd4d_4001)),
            hard_deadline: Some(micros(0x0006_47a8_dd4d_4002)),
            load_cost: Duration::from_micros(1234),
            tags: vec![TagStamp { tag: 1, version: 2 }],
            negative: false,
            tombstone: false,
            format: 2,
            wrappers: Wrappers::default(),
        },
    }
}

/// The same after two wrappers.
fn wrapped_entry() -> Entry {
    let mut entry = full_entry();
    entry.meta.wrappers = wrappers(&[4, 0x8001]);
    entry
}

fn wrappers(numbers: &[u16]) -> Wrappers {
    Wrappers::new(numbers).unwrap()
}

fn encoded(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(entry, &mut bytes).unwrap();
    assert_eq!(bytes.len(), encoded_len(entry));
    bytes
}

/// Decodes without any claim but that it does not panic, and checks what must hold if it works.
fn decode_anything(bytes: &[u8]) -> Option<Entry> {
    let bytes = Bytes::copy_from_slice(bytes);
    let entry = decode(&bytes).ok()?;
    assert_eq!(decode_header(&bytes).unwrap(), entry.meta);
    Some(entry)
}

#[test]
fn frozen_bytes_of_a_full_entry() {
    let mut expected = hex(FULL);
    let tags_and_value = hex("0000000000000001000000000000000276616c7565");
    // The checksum is computed here from its definition, and frozen below.
    let covered = [&expected[..24], &expected[40..44], &tags_and_value].concat();
    expected.extend_from_slice(&crc32c::crc32c(&covered).to_be_bytes());
    expected.extend_from_slice(&tags_and_value);
    assert_eq!(encoded(&full_entry()), expected);
    assert_eq!(expected[44..48], hex("60c50df4")[..]);
    assert_eq!(decode_anything(&expected), Some(full_entry()));
}

#[test]
fn frozen_bytes_of_an_empty_tombstone() {
    let entry =
        Entry { value: Bytes::new(), meta: EntryMeta { tombstone: true, ..EntryMeta::default() } };
    let mut expected = hex("c45e010100000006");
    expected.resize(44, 0);
    expected.extend_from_slice(&hex("6365c97e"));
    assert_eq!(encoded(&entry), expected);
    assert_eq!(decode_anything(&expected), Some(entry));
}

#[test]
fn frozen_bytes_of_a_wrapped_entry() {
    let mut expected = hex(FULL);
    expected[6] = 2;
    let lists_and_value = hex("000000000000000100000000000000020004800176616c7565");
    let covered = [&expected[..24], &expected[40..44], &lists_and_value].concat();
    expected.extend_from_slice(&crc32c::crc32c(&covered).to_be_bytes());
    expected.extend_from_slice(&lists_and_value);
    assert_eq!(encoded(&wrapped_entry()), expected);
    assert_eq!(expected[44..48], hex("a33e5e05")[..]);
    assert_eq!(decode_anything(&expected), Some(wrapped_entry()));
}

#[test]
fn frozen_bytes_of_a_wrapped_tombstone_without_tags() {
    let meta =
        EntryMeta { tombstone: true, wrappers: wrappers(&[4, 6, 1]), ..EntryMeta::default() };
    let entry = Entry { value: Bytes::new(), meta };
    let mut expected = hex("c45e010100000306");
    expected.resize(44, 0);
    expected.extend_from_slice(&hex("878a1e26000400060001"));
    assert_eq!(encoded(&entry), expected);
    assert_eq!(decode_anything(&expected), Some(entry));
}

#[test]
fn three_wrappers_fit_and_none_has_the_number_zero() {
    assert!(Wrappers::new(&[1, 2, 3]).is_some_and(|wrappers| wrappers.numbers() == [1, 2, 3]));
    assert!(Wrappers::new(&[]).is_some_and(|wrappers| wrappers.is_empty()));
    assert_eq!(Wrappers::new(&[1, 2, 3, 4]), None);
    assert_eq!(Wrappers::new(&[1, 0]), None);
    assert_eq!(wrappers(&[1, 2]).within(3), Some(wrappers(&[3, 1, 2])));
    assert_eq!(wrappers(&[1, 2]).within(0), None);
    assert_eq!(wrappers(&[1, 2, 3]).within(4), None);
    let mut bytes = encoded(&wrapped_entry());
    bytes[64..66].fill(0);
    assert_eq!(decode(&Bytes::from(bytes)).unwrap_err(), EnvelopeError::Wrapper);
}

#[test]
fn every_field_survives_a_round_trip() {
    let mut entry = full_entry();
    for (negative, tombstone) in [(false, true), (true, false), (true, true)] {
        entry.meta.negative = negative;
        entry.meta.tombstone = tombstone;
        entry.meta.tags.push(TagStamp { tag: u64::MAX, version: u64::MAX - 1 });
        entry.meta.soft_deadline = None;
        entry.meta.format = u16::MAX;
        entry.meta.wrappers = wrappers(&[u16::MAX, 1, 2]);
        assert_eq!(decode_anything(&encoded(&entry)), Some(entry.clone()));
    }
}

#[test]
fn the_value_is_not_copied() {
    let bytes = Bytes::from(encoded(&full_entry()));
    let entry = decode(&bytes).unwrap();
    assert_eq!(entry.value.as_ptr(), bytes[64..].as_ptr());
    let bytes = Bytes::from(encoded(&wrapped_entry()));
    let entry = decode(&bytes).unwrap();
    assert_eq!(entry.value.as_ptr(), bytes[68..].as_ptr());
}

#[test]
fn bytes_of_one_owner_become_the_entry_or_stay() {
    for entry in [full_entry(), wrapped_entry(), Entry::default()] {
        let mut bytes = Bytes::from(encoded(&entry));
        assert_eq!(decode_owned(&mut bytes), Ok(entry));
        assert!(bytes.is_empty());
    }
    let mut torn = encoded(&full_entry());
    torn.pop();
    let mut bytes = Bytes::from(torn.clone());
    assert!(matches!(decode_owned(&mut bytes), Err(EnvelopeError::Checksum { .. })));
    assert_eq!(bytes, torn);
}

#[test]
fn what_does_not_fit_is_cut_to_the_nearest_that_does() {
    let mut entry = full_entry();
    entry.meta.hard_deadline = Some(micros(0));
    entry.meta.load_cost = Duration::MAX;
    let meta = decode_anything(&encoded(&entry)).unwrap().meta;
    assert!(meta.is_dead(micros(1)), "an old deadline is not `never`");
    assert_eq!(meta.load_cost, Duration::from_micros(u32::MAX.into()));
}

#[test]
fn thirty_two_tags_fit_and_thirty_three_do_not() {
    let mut entry = full_entry();
    entry.meta.tags = vec![TagStamp { tag: 3, version: 4 }; MAX_TAGS];
    entry.meta.wrappers = wrappers(&[1, 2, 3]);
    assert_eq!(encoded_len(&entry), LONGEST_HEADER + entry.value.len());
    assert_eq!(decode_anything(&encoded(&entry)), Some(entry.clone()));
    entry.meta.tags.push(TagStamp { tag: 5, version: 6 });
    let mut out = b"before".to_vec();
    let error = encode(&entry, &mut out).unwrap_err();
    assert_eq!(error, EnvelopeError::TooManyTags { found: 33 });
    assert_eq!(out, b"before");
}

#[test]
fn a_truncated_entry_is_refused_at_every_length() {
    for (entry, value_at) in [(full_entry(), 64), (wrapped_entry(), 68)] {
        let bytes = encoded(&entry);
        for length in 0..bytes.len() {
            let found = decode(&Bytes::copy_from_slice(&bytes[..length]));
            match found {
                Err(EnvelopeError::TooShort { needed, found }) => {
                    assert!(found == length && length < needed && needed <= value_at);
                }
                Err(EnvelopeError::Checksum { .. }) => assert!(length >= value_at),
                other => panic!("{length}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_flipped_bit_is_found_everywhere_but_in_the_deadlines() {
    for entry in [full_entry(), wrapped_entry()] {
        let bytes = encoded(&entry);
        for (index, bit) in (0..bytes.len()).flat_map(|index| (0..8).map(move |bit| (index, bit))) {
            let mut flipped = bytes.clone();
            flipped[index] ^= 1 << bit;
            let found = decode_anything(&flipped);
            if DEADLINES.contains(&index) {
                let found = found.expect("the checksum leaves the deadlines out");
                assert_eq!(found.value, entry.value);
                assert_ne!(found.meta, entry.meta);
            } else {
                assert_eq!(found, None, "byte {index}, bit {bit}");
            }
        }
    }
}

#[test]
fn each_way_to_be_foreign_has_its_own_error() {
    let bytes = encoded(&full_entry());
    let changed = |index: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[index] = value;
        decode(&Bytes::from(bytes)).unwrap_err()
    };
    assert_eq!(changed(0, b'{').to_string(), "the bytes start with `7b 5e`, which no entry does");
    assert_eq!(changed(2, 2), EnvelopeError::Version { found: 2 });
    assert_eq!(changed(3, 32), EnvelopeError::Flags { found: 32 });
    assert_eq!(changed(6, 4), EnvelopeError::Codec { found: 4 });
    for (units, found) in [(0, 0), (5, 40), (7, 56), (72, 576), (255, 2040)] {
        assert_eq!(changed(7, units), EnvelopeError::HeaderLength { found });
    }
    let needed = EnvelopeError::TooShort { needed: 560, found: 69 };
    assert_eq!(changed(7, 70), needed);
}

#[test]
fn patched_deadlines_keep_the_checksum_right() {
    let mut bytes = encoded(&full_entry());
    let deadlines = Deadlines { soft: None, hard: Some(micros(99)) };
    patch_deadlines(&mut bytes, deadlines).unwrap();
    let mut expected = full_entry();
    expected.meta.soft_deadline = None;
    expected.meta.hard_deadline = Some(micros(99));
    assert_eq!(decode_anything(&bytes), Some(expected));
    let too_short = patch_deadlines(&mut bytes[..39], deadlines);
    assert_eq!(too_short, Err(EnvelopeError::TooShort { needed: 48, found: 39 }));
}

#[test]
fn random_bytes_never_panic() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..50_000 {
        let mut bytes = vec![0; random.usize(..700)];
        random.fill(&mut bytes);
        // Half of the rounds get past the first checks.
        if round % 2 == 0 && bytes.len() > 8 {
            bytes[..4].copy_from_slice(&[0xc4, 0x5e, 1, random.u8(..4)]);
            bytes[6] = random.u8(..4);
        }
        assert_eq!(decode_anything(&bytes), None);
    }
}
