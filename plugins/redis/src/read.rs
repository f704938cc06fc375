//! Reading entries, whole or their headers.

use std::sync::atomic::Ordering;

use futures_util::future::join;
use larder_core::envelope::{self, EnvelopeError, LONGEST_HEADER};
use larder_core::key::RESERVED;
use larder_core::{Bytes, Entry, EntryMeta, ErrorKind, Result};
use redis::Cmd;

use crate::connection::line::{Landed, Read};
use crate::connection::{Lane, Route};
use crate::keys::Generation;
use crate::space::{ATTEMPTS, Names, Space};
use crate::unreadable::Reason;
use crate::write::header_of;
use crate::{answer, error, scripts};

/// What a generation takes of a flight, which is next to nothing.
const LEAST_WEIGHT: usize = 1024;

/// Whether others are read along with an entry, so that they go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Company {
    Alone,
    Others,
}

impl Space {
    /// Reads a whole entry.
    pub(crate) async fn get(&self, key: &str, company: Company) -> Result<Option<Entry>> {
        let found = match self.sizes.lane(key) {
            Lane::Small => self.fetch(key, company).await,
            _ => Box::pin(self.fetch_large(key)).await,
        }?;
        if let Some(bytes) = &found {
            self.sizes.note(key, bytes.len());
        }
        Ok(self.decode(key, found).await)
    }

    /// Fetches what is stored for a key, together with others who do so at the same time.
    async fn fetch(&self, key: &str, company: Company) -> Result<Option<Bytes>> {
        for _ in 0..ATTEMPTS {
            let generation = match self.known() {
                known if known == Generation::default() => Box::pin(self.generation()).await?,
                known => known,
            };
            let weight = self.sizes.weight();
            let read = self.read(generation, key, weight, company).await;
            let read = read.inspect_err(|error| {
                if error.kind() == ErrorKind::Timeout {
                    self.sizes.was_late(weight);
                }
            });
            let Some(Landed { value, head: control, leads }) = read? else { break };
            self.batches.fetch_add(u64::from(leads), Ordering::Relaxed);
            self.batched_keys.fetch_add(1, Ordering::Relaxed);
            if self.is_latest(generation, control.as_deref()) {
                return Ok(value);
            }
            Box::pin(self.is_current(generation, control)).await?;
        }
        // The server said something else, or the cache is cleared all the time.
        Box::pin(self.fetch_by_itself(Lane::Small, key)).await
    }

    async fn read(
        &self,
        generation: Generation,
        key: &str,
        weight: usize,
        company: Company,
    ) -> Result<Option<Landed>> {
        let is_alone = company == Company::Alone;
        if self.connection.is_cluster() || self.may_be_old(key) {
            return Box::pin(self.read_apart(generation, key, weight, is_alone)).await;
        }
        let name = |out: &mut Vec<u8>| self.keys.write_entry(out, generation, key);
        let read = Read { name: &name, head: Some(&self.keys.control), weight, is_alone };
        self.connection.read(Route::Key(&self.keys.control), &read).await
    }

    /// The generation may be at another node, and is asked for in the same moment.
    async fn read_apart(
        &self,
        generation: Generation,
        key: &str,
        weight: usize,
        is_alone: bool,
    ) -> Result<Option<Landed>> {
        let (name, control) = (self.keys.entry(generation, key), &*self.keys.control);
        let write_name = |out: &mut Vec<u8>| out.extend_from_slice(name.as_bytes());
        let write_control = |out: &mut Vec<u8>| out.extend_from_slice(control.as_bytes());
        let entry = Read { name: &write_name, head: None, weight, is_alone };
        let head = Read { name: &write_control, weight: LEAST_WEIGHT, ..entry };
        let route = match self.may_be_old(key) {
            true => Route::Replica(&name),
            false => Route::Key(&name),
        };
        let (landed, head) = join(
            self.connection.read(route, &entry),
            self.connection.read(Route::Key(control), &head),
        )
        .await;
        let landed = landed.map_err(|error| self.of_a_node(error));
        let both = landed?.zip(head?);
        Ok(both.map(|(landed, head)| Landed { head: head.value, ..landed }))
    }

    /// Whether a replica may answer for a key: it was not written by this process lately, and it is
    /// no marker of a tag, which says that others are old.
    fn may_be_old(&self, key: &str) -> bool {
        let recent = self.recent.as_ref();
        recent.is_some_and(|recent| !key.starts_with(RESERVED) && !recent.contains(key))
    }

    /// Fetches a large entry. There are few of them at a time, for all share one socket.
    async fn fetch_large(&self, key: &str) -> Result<Option<Bytes>> {
        let limit = self.connection.timeout();
        let turn = tokio::time::timeout(limit, self.large_reads.acquire()).await;
        let _turn = turn.map_err(|_| error::timed_out(limit))?;
        self.fetch_by_itself(Lane::Bulk, key).await
    }

    /// Fetches what is stored for a key with a command of its own.
    async fn fetch_by_itself(&self, lane: Lane, key: &str) -> Result<Option<Bytes>> {
        let get = |names: &Names, _| {
            let mut get = Cmd::new();
            get.arg("GET").arg(&names.entry);
            vec![get]
        };
        answer::bytes(self.only(lane, key, get).await?.into_iter().next())
    }

    /// The entry in these bytes; `None` when its life is over or it cannot be read.
    async fn decode(&self, key: &str, bytes: Option<Bytes>) -> Option<Entry> {
        let mut bytes = bytes?;
        match envelope::decode_owned(&mut bytes) {
            // Whoever lives for ever need not ask for the time.
            Ok(entry) if entry.meta.hard_deadline.is_none() => Some(entry),
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
