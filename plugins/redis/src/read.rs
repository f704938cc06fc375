//! Reading entries, whole or their headers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use larder_core::envelope::{self, EnvelopeError, LONGEST_HEADER};
use larder_core::{Bytes, Entry, EntryMeta, Result};

use crate::answer;
use crate::batch::Fetch;
use crate::connection::Lane;
use crate::scripts;
use crate::sizes::Sizes;
use crate::space::Space;
use crate::unreadable::Reason;
use crate::write::header_of;

/// Fetches whole entries over one lane.
pub(crate) struct Reads {
    pub(crate) space: Arc<Space>,
    pub(crate) sizes: Arc<Sizes>,
    pub(crate) lane: Lane,
}

impl Fetch for Reads {
    async fn fetch(&self, keys: &[String]) -> Result<Vec<Option<Bytes>>> {
        self.space.batches.fetch_add(1, Ordering::Relaxed);
        self.space.batched_keys.fetch_add(keys.len() as u64, Ordering::Relaxed);
        self.space.fetch(self.lane, keys).await
    }

    fn most_keys(&self) -> usize {
        match self.lane {
            Lane::Bulk => 1,
            _ => self.sizes.most_keys(),
        }
    }
}

impl Space {
    /// The entry in these bytes; `None` when its life is over or it cannot be read.
    pub(crate) async fn decode(&self, key: &str, bytes: Option<Bytes>) -> Option<Entry> {
        let mut bytes = bytes?;
        match envelope::decode_owned(&mut bytes) {
            Ok(entry) => (!entry.meta.is_dead(self.now())).then_some(entry),
            Err(error) => {
                // In a box, so that those who can read need no room for it.
                Box::pin(self.cannot_read(key, &bytes, &error)).await;
                None
            }
        }
    }

    /// All of an entry but its value.
    pub(crate) async fn meta(&self, key: &str) -> Result<Option<EntryMeta>> {
        let answers = self
            .only(Lane::Small, key, |names, _| vec![header_of(&names.entry, LONGEST_HEADER)])
            .await?;
        let bytes = answer::bytes(answers.into_iter().next())?.unwrap_or_default();
        if bytes.is_empty() {
            return Ok(None);
        }
        match envelope::decode_header(&bytes) {
            Ok(meta) => Ok((!meta.is_dead(self.now())).then_some(meta)),
            Err(error) => {
                self.cannot_read(key, &bytes, &error).await;
                Ok(None)
            }
        }
    }

    /// Counts what is no entry, and removes it if it is ours and damaged, unless there is another
    /// one by now.
    async fn cannot_read(&self, key: &str, bytes: &[u8], error: &EnvelopeError) {
        if self.unreadable.note(error) != Reason::Damaged {
            return;
        }
        let begin = &bytes[..bytes.len().min(LONGEST_HEADER)];
        let remove = self.only(Lane::Small, key, |names, by| {
            vec![scripts::with(scripts::REMOVE.command(by, &[&names.entry]), begin)]
        });
        // It is a miss all the same, and the next who reads it tries again.
        remove.await.ok();
    }
}
