//! A page of keys as libraries write it: each is its length in 4 bytes, little endian, and the key.

use larder_core::backend::ScanPage;

use crate::adapt::output::Page;

/// Reads a page.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn read(page: &Page) -> Result<ScanPage, &'static str> {
    let mut keys = Vec::new();
    let mut rest = &page.keys[..];
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk().ok_or("a page ends within a length")?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (key, after) = after.split_at_checked(length).ok_or("a page ends within a key")?;
        keys.push(str::from_utf8(key).map_err(|_| "a key is not UTF-8")?.to_owned());
        rest = after;
    }
    let next = str::from_utf8(&page.next).map_err(|_| "a cursor is not UTF-8")?;
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
        let keys = vec!["user:1".to_owned(), String::new(), "ä".to_owned()];
        let page = Page { keys: write(&keys).into(), next: Bytes::from_static(b"17") };
        let read = read(&page).unwrap();
        assert_eq!((read.keys, read.next.as_deref()), (keys, Some("17")));
    }

    #[test]
    fn a_torn_page_is_an_error() {
        for torn in [&[1, 0, 0][..], &[2, 0, 0, 0, 65], &[255; 8], &[1, 0, 0, 0, 0xff]] {
            let page = Page { keys: Bytes::copy_from_slice(torn), next: Bytes::new() };
            assert!(read(&page).is_err(), "{torn:?}");
        }
    }
}
