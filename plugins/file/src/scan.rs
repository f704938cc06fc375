//! Listing keys, in the order of the names of their files.

use larder_core::Result;
use larder_core::backend::{ScanPage, ScanRequest};

use crate::directory::Directory;
use crate::error::failed;
use crate::layout::shard_name;

/// How many keys a page has when the caller does not say.
const PAGE: usize = 1000;

/// A page ends after so many files for each key that was asked for, even if none of them matched,
/// so that no call takes without bound.
const FILES_PER_KEY: usize = 10;

impl Directory {
    /// The keys of a page. The cursor is the shard and name of the last file that was looked at;
    /// it is only compared, so one that was made up does no harm.
    pub(crate) fn scan(&self, request: &ScanRequest) -> Result<ScanPage> {
        if request.leased {
            // Each is an open file of some process, so there are few.
            return Ok(ScanPage { keys: self.leased_keys(&request.prefix)?, next: None });
        }
        let home = self.home()?;
        let limit = if request.limit == 0 { PAGE } else { request.limit };
        let after = request.cursor.as_deref().unwrap_or_default();
        let mut page = ScanPage::default();
        let mut files = 0;
        for shard in 0..=u8::MAX {
            let shard_text = shard_name(shard);
            if after.get(..2).is_some_and(|of_cursor| *shard_text < *of_cursor) {
                continue;
            }
            let names = home.names(shard);
            let names = names.map_err(|error| failed("scan", home.entries.path(), error))?;
            let mut names: Vec<_> = names
                .into_iter()
                .map(|name| (format!("{shard_text}/{name}"), name))
                .filter(|(cursor, _)| **cursor > *after)
                .collect();
            names.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            for (cursor, name) in names {
                files += 1;
                let key = self.live_key(&home, name)?;
                page.keys.extend(key.filter(|key| key.starts_with(&request.prefix)));
                if page.keys.len() >= limit || files >= limit.saturating_mul(FILES_PER_KEY) {
                    page.next = Some(cursor);
                    return Ok(page);
                }
            }
        }
        Ok(page)
    }
}
