//! A page of keys as libraries write it: each is its length in 4 bytes, little endian, and the key.

use larder_core::backend::{ScanPage, ScanRequest};
use larder_core::key::MAX_KEY_BYTES;

use crate::adapt::output::Page;

/// How many keys are asked for if the backend may choose.
const CHOSEN: usize = 1000;

/// How many more keys than were asked for may come: some backends list whole groups of them.
const fn most(limit: usize) -> usize {
    let limit = if limit == 0 { CHOSEN } else { limit };
    limit.saturating_mul(4).saturating_add(CHOSEN)
}

/// The longest cursor, which is kept between two pages.
const LONGEST_CURSOR: usize = 64 * 1024;

/// Reads a page. What cannot be a key of ours is left out.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn read(page: &Page, request: &ScanRequest) -> Result<ScanPage, &'static str> {
    let most = most(request.limit);
    let (mut keys, mut count) = (Vec::new(), 0);
    let mut rest = &page.keys[..];
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk().ok_or("a page ends within a length")?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (key, after) = after.split_at_checked(length).ok_or("a page ends within a key")?;
        count += 1;
        if count > most {
            return Err("a page has many more keys than were asked for");
        }
        let key = str::from_utf8(key).map_err(|_| "a key is not UTF-8")?;
        if (1..=MAX_KEY_BYTES).contains(&key.len()) {
            keys.push(key.to_owned());
        }
        rest = after;
    }
    if page.next.len() > LONGEST_CURSOR {
        return Err("a cursor is too long");
    }
    let next = str::from_utf8(&page.next).map_err(|_| "a cursor is not UTF-8")?;
    // The same page would be read for ever.
    if !next.is_empty() && request.cursor.as_deref() == Some(next) {
        return Err("the cursor of the next page is that of this one");
    }
    Ok(ScanPage { keys, next: (!next.is_empty()).then(|| next.to_owned()) })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// Writes keys as a page.
    fn write(keys: &[String]) -> Vec<u8> {
        let mut page = Vec::new();
        for key in keys {
            let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
            page.extend_from_slice(&length.to_le_bytes());
            page.extend_from_slice(key.as_bytes());
        }
        page
    }

    #[test]
    fn a_page_reads_as_it_was_written() {
        let keys = vec!["user:1".to_owned(), "ä".to_owned()];
        let page = Page { keys: write(&keys).into(), next: Bytes::from_static(b"17") };
        let read = read(&page, &ScanRequest::all()).unwrap();
        assert_eq!((read.keys, read.next.as_deref()), (keys, Some("17")));
    }

    #[test]
    fn a_torn_page_is_an_error() {
        for torn in [&[1, 0, 0][..], &[2, 0, 0, 0, 65], &[255; 8], &[1, 0, 0, 0, 0xff]] {
            let page = Page { keys: Bytes::copy_from_slice(torn), next: Bytes::new() };
            assert!(read(&page, &ScanRequest::all()).is_err(), "{torn:?}");
        }
    }

    #[test]
    fn a_page_is_bounded_in_its_keys_and_leads_on() {
        let page = |keys: &[String], next: &'static [u8]| Page {
            keys: write(keys).into(),
            next: Bytes::from_static(next),
        };
        let keys: Vec<String> = (0..1009).map(|number| number.to_string()).collect();
        let two = ScanRequest::all().limit(2);
        assert_eq!(read(&page(&keys[..1008], b""), &two).unwrap().keys.len(), 1008);
        assert!(read(&page(&keys, b""), &two).unwrap_err().contains("many more"));
        let again = two.from_cursor(Some("17".to_owned()));
        assert!(read(&page(&keys[..1], b"17"), &again).unwrap_err().contains("of this one"));
        assert!(read(&page(&keys[..1], b"18"), &again).is_ok());
        let odd = [String::new(), "k".repeat(1024), "k".repeat(1025)];
        assert_eq!(read(&page(&odd, b""), &ScanRequest::all()).unwrap().keys, odd[1..2]);
    }
}
