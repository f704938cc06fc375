//! The envelope around every entry: [`larder_core::envelope`].

use std::time::Duration;

use larder_core::backend::Deadlines;
use larder_core::entry::TagStamp;
use larder_core::{Bytes, Entry, Stamp, Timestamp, envelope};

/// Entries with everything and with nothing.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let mut full = Entry { value: Bytes::from_static(b"value"), ..Entry::default() };
    full.meta.stamp = Stamp { time: Timestamp::from_micros(1), origin: 2 };
    full.meta.soft_deadline = Some(Timestamp::from_micros(3));
    full.meta.hard_deadline = Some(Timestamp::from_micros(4));
    full.meta.load_cost = Duration::from_micros(5);
    full.meta.tags = vec![TagStamp { tag: 6, version: 7 }; 3];
    full.meta.format = 8;
    let mut tombstone = Entry::default();
    tombstone.meta.tombstone = true;
    [full, tombstone, Entry::default()].iter().map(written).collect()
}

/// Bytes as they are, and with the checksum that they should have, which no fuzzer guesses.
///
/// # Panics
///
/// When a promise is broken.
pub fn run(bytes: &[u8]) {
    read(bytes);
    if bytes.len() >= envelope::HEADER_LEN {
        let mut bytes = bytes.to_vec();
        let covered = [&bytes[..24], &bytes[40..44], &bytes[48..]].concat();
        bytes[44..48].copy_from_slice(&crc32c::crc32c(&covered).to_be_bytes());
        read(&bytes);
    }
}

/// Whatever is read is written back the same, and the header alone says what the whole says.
fn read(bytes: &[u8]) {
    let header = envelope::decode_header(bytes);
    let Ok(entry) = envelope::decode(&Bytes::copy_from_slice(bytes)) else { return };
    assert_eq!(header.as_ref(), Ok(&entry.meta));
    assert_eq!(written(&entry), bytes);
    let mut touched = bytes.to_vec();
    let deadlines = Deadlines { soft: None, hard: Some(Timestamp::from_micros(9)) };
    envelope::patch_deadlines(&mut touched, deadlines).expect("there is a whole header");
    let touched = envelope::decode(&Bytes::from(touched)).expect("the checksum is still right");
    assert_eq!(touched.value, entry.value);
    assert_eq!(touched.meta.hard_deadline, deadlines.hard);
}

fn written(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::new();
    envelope::encode(entry, &mut bytes).expect("what was read has few enough tags");
    assert_eq!(bytes.len(), envelope::encoded_len(entry));
    bytes
}
