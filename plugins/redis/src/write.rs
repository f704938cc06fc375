//! Storing and removing entries.

use larder_core::backend::Deadlines;
use larder_core::{CacheError, Entry, ErrorKind, Result, envelope};
use redis::{Cmd, Value};

use crate::answer;
use crate::connection::Lane;
use crate::scripts::{self, By, ServerScript};
use crate::sizes::Sizes;
use crate::space::{Names, Space, life};

/// How many entries are stored at a time.
const MOST_ENTRIES: usize = 128;

/// How many bytes are stored at a time, about.
const MOST_BYTES: usize = 256 * 1024;

/// An entry as the scripts take it.
pub(crate) struct Packed {
    envelope: Vec<u8>,
    life: String,
}

impl Packed {
    /// How many bytes are stored.
    pub(crate) fn len(&self) -> usize {
        self.envelope.len()
    }

    fn command(&self, script: &ServerScript, names: &Names, by: By) -> Cmd {
        let mut command = script.command(by, &[&names.entry, &names.lease]);
        command.arg(&self.envelope[..]).arg(&self.life);
        command
    }
}

impl Space {
    /// Brings an entry into the form that is stored.
    pub(crate) fn pack(&self, entry: &Entry) -> Result<Packed> {
        let mut bytes = Vec::with_capacity(envelope::encoded_len(entry));
        envelope::encode(entry, &mut bytes).map_err(|error| {
            CacheError::transparent(ErrorKind::Capacity, error).hint("use fewer tags")
        })?;
        Ok(Packed { envelope: bytes, life: life(entry.meta.hard_deadline, self.now()) })
    }

    /// Stores an entry and ends the lease of its key.
    pub(crate) async fn set(&self, key: &str, entry: &Packed) -> Result<()> {
        let lane = Sizes::lane_of(entry.len());
        let command = |names: &Names, by| vec![entry.command(&scripts::SET, names, by)];
        let answers = self.only(lane, key, command).await?;
        answer::done(answers.into_iter().next())
    }

    /// Stores entries, some of them at a time. All are tried before the first error is returned.
    pub(crate) async fn set_many(&self, entries: &[(String, Packed)]) -> Result<()> {
        let mut outcome = Ok(());
        for chunk in chunks(entries) {
            let keys: Vec<&str> = chunk.iter().map(|(key, _)| &**key).collect();
            let lane =
                Sizes::lane_of(chunk.iter().map(|(_, entry)| entry.len()).max().unwrap_or(0));
            let command =
                |at: usize, names: &Names, by| vec![chunk[at].1.command(&scripts::SET, names, by)];
            let answers = self.each(lane, &keys, command).await?;
            for (answer, key) in answers.into_iter().zip(keys) {
                let stored = answer::done(answer.into_iter().next());
                outcome = outcome.and(stored.map_err(|error| error.with("key", key)));
            }
        }
        outcome
    }

    /// Stores an entry if it is newer than what is there; whether it was.
    pub(crate) async fn put_if_newer(&self, key: &str, entry: &Packed) -> Result<bool> {
        let now = self.now().as_micros();
        let command = |names: &Names, by| {
            vec![scripts::with(entry.command(&scripts::PUT_IF_NEWER, names, by), now)]
        };
        let answers = self.only(Sizes::lane_of(entry.len()), key, command).await?;
        Ok(answer::number(answers.into_iter().next())? == 1)
    }

    /// Stores an entry under a lease; whether it held.
    pub(crate) async fn fill(&self, key: &str, entry: &Packed, token: u64) -> Result<bool> {
        let now = self.now().as_micros();
        let command = |names: &Names, by| {
            let command = scripts::with(entry.command(&scripts::FILL, names, by), now);
            vec![scripts::with(command, &token.to_be_bytes())]
        };
        let answers = self.only(Sizes::lane_of(entry.len()), key, command).await?;
        Ok(answer::number(answers.into_iter().next())? == 1)
    }

    /// Removes entries and ends the leases of their keys; which of them were there.
    pub(crate) async fn delete(&self, keys: &[&str]) -> Result<Vec<bool>> {
        let mut deleted = Vec::with_capacity(keys.len());
        for keys in keys.chunks(MOST_ENTRIES) {
            let commands = |_: usize, names: &Names, _: By| {
                let mut unlink = Cmd::new();
                unlink.arg("UNLINK").arg(&names.entry);
                let mut end_lease = Cmd::new();
                end_lease.arg("UNLINK").arg(&names.lease);
                vec![header_of(&names.entry, envelope::HEADER_LEN), unlink, end_lease]
            };
            for answers in self.each(Lane::Small, keys, commands).await? {
                deleted.push(self.was_deleted(answers)?);
            }
        }
        Ok(deleted)
    }

    fn was_deleted(&self, answers: Vec<Value>) -> Result<bool> {
        let mut answers = answers.into_iter();
        let header = answer::bytes(answers.next())?;
        let was_there = answer::number(answers.next())? > 0;
        answer::number(answers.next())?;
        Ok(was_there && header.is_some_and(|header| self.is_alive(&header)))
    }

    /// Whether the fixed part of a header is that of an entry whose life lasts.
    fn is_alive(&self, header: &[u8]) -> bool {
        let Some(deadline) = header.get(envelope::DEADLINES).and_then(|d| d.last_chunk::<8>())
        else {
            return false;
        };
        let deadline = u64::from_be_bytes(*deadline);
        deadline == 0 || deadline > self.now().as_micros()
    }

    /// Moves the deadlines of an entry; whether there was one.
    pub(crate) async fn touch(&self, key: &str, deadlines: Deadlines) -> Result<bool> {
        let (now, bytes) = (self.now(), envelope::deadline_bytes(deadlines));
        let life = life(deadlines.hard, now);
        let command = |names: &Names, by| {
            let mut command = scripts::TOUCH.command(by, &[&names.entry]);
            command.arg(&bytes).arg(&life).arg(now.as_micros());
            vec![command]
        };
        let answers = self.only(Lane::Small, key, command).await?;
        Ok(answer::number(answers.into_iter().next())? == 1)
    }
}

/// The command that reads the first bytes of an entry.
pub(crate) fn header_of(name: &str, length: usize) -> Cmd {
    let mut command = Cmd::new();
    command.arg("GETRANGE").arg(name).arg(0).arg(length - 1);
    command
}

/// Parts of the entries that are small enough for one pipeline.
fn chunks(entries: &[(String, Packed)]) -> impl Iterator<Item = &[(String, Packed)]> {
    let mut rest = entries;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |(_, entry): &&(String, Packed)| {
            bytes += entry.len();
            bytes <= MOST_BYTES
        };
        let count = rest.iter().take(MOST_ENTRIES).take_while(fits).count().max(1);
        let (chunk, later) = rest.split_at(count.min(rest.len()));
        rest = later;
        (!chunk.is_empty()).then_some(chunk)
    })
}
