//! Storing and removing entries.

use futures_util::future::join_all;
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

/// How many entries are removed at a time where each is sent by itself.
const MOST_APART: usize = 4096;

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

    /// The lane that it needs.
    fn lane(&self) -> Lane {
        Sizes::lane_of(self.len())
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
        let command = |names: &Names, by| vec![entry.command(&scripts::SET, names, by)];
        let answers = self.change(entry.lane(), key, command).await?;
        answer::done(answers.into_iter().next())
    }

    /// Stores entries, some of them at a time. All are tried before the first error is returned,
    /// unless it is one of the only server.
    pub(crate) async fn set_many(&self, entries: &[(String, Packed)]) -> Result<()> {
        if self.connection.is_cluster() {
            // Those of a node that is slow hold up no others.
            let stored = join_all(chunks(entries).map(|chunk| self.set_chunk(chunk))).await;
            return stored.into_iter().fold(Ok(()), Result::and);
        }
        let mut outcome = Ok(());
        for chunk in chunks(entries) {
            let stored = self.set_chunk(chunk).await;
            let is_lost = stored.as_ref().is_err_and(is_of_the_server);
            outcome = outcome.and(stored);
            if is_lost {
                break;
            }
        }
        outcome
    }

    async fn set_chunk(&self, chunk: &[(String, Packed)]) -> Result<()> {
        let keys: Vec<&str> = chunk.iter().map(|(key, _)| &**key).collect();
        let lanes: Vec<Lane> = chunk.iter().map(|(_, entry)| entry.lane()).collect();
        let command =
            |at: usize, names: &Names, by| vec![chunk[at].1.command(&scripts::SET, names, by)];
        let answers = self.change_each(&lanes, &keys, command).await?;
        let stored = answers.into_iter().zip(keys).map(|(answers, key)| {
            let stored = answers.and_then(|answers| answer::done(answers.into_iter().next()));
            stored.map_err(|error| error.with("key", key))
        });
        stored.fold(Ok(()), Result::and)
    }

    /// Stores an entry if it is newer than what is there; whether it was.
    pub(crate) async fn put_if_newer(&self, key: &str, entry: &Packed) -> Result<bool> {
        let now = self.now().as_micros();
        let command = |names: &Names, by| {
            vec![scripts::with(entry.command(&scripts::PUT_IF_NEWER, names, by), now)]
        };
        let answers = self.change(entry.lane(), key, command).await?;
        Ok(answer::number(answers.into_iter().next())? == 1)
    }

    /// Stores an entry under a lease; whether it held.
    pub(crate) async fn fill(&self, key: &str, entry: &Packed, token: u64) -> Result<bool> {
        let now = self.now().as_micros();
        let command = |names: &Names, by| {
            let command = scripts::with(entry.command(&scripts::FILL, names, by), now);
            vec![scripts::with(command, &token.to_be_bytes())]
        };
        let answers = self.change(entry.lane(), key, command).await?;
        Ok(answer::number(answers.into_iter().next())? == 1)
    }

    /// Removes entries and ends the leases of their keys; how many of them were there. All are
    /// tried before the first error is returned, unless it is one of the only server.
    pub(crate) async fn delete(&self, keys: &[&str]) -> Result<u64> {
        // In a cluster each key is sent by itself, and none waits for those of another node.
        let most = if self.connection.is_cluster() { MOST_APART } else { MOST_ENTRIES };
        let (mut deleted, mut outcome) = (0, Ok(()));
        for keys in keys.chunks(most) {
            let commands = |_: usize, names: &Names, _: By| {
                let mut unlink = Cmd::new();
                unlink.arg("UNLINK").arg(&names.entry);
                let mut end_lease = Cmd::new();
                end_lease.arg("UNLINK").arg(&names.lease);
                vec![header_of(&names.entry, envelope::HEADER_LEN), unlink, end_lease]
            };
            let lanes = vec![Lane::Small; keys.len()];
            let answers = match self.change_each(&lanes, keys, commands).await {
                Ok(answers) => answers,
                Err(error) => return outcome.and(Err(error)),
            };
            for answers in answers {
                match answers.and_then(|answers| self.was_deleted(answers)) {
                    Ok(was_there) => deleted += u64::from(was_there),
                    Err(error) => outcome = outcome.and(Err(error)),
                }
            }
        }
        outcome.map(|()| deleted)
    }

    /// Does commands that change a key; see [`only`](Self::only).
    async fn change(
        &self,
        lane: Lane,
        key: &str,
        commands: impl Fn(&Names, By) -> Vec<Cmd>,
    ) -> Result<Vec<Value>> {
        let commands = |_: usize, names: &Names, by: By| commands(names, by);
        let mut answers = self.change_each(&[lane], &[key], commands).await?;
        answers.pop().unwrap_or_else(|| Ok(Vec::new()))
    }

    /// Does commands that change keys, each of which would take a lane of its own; see
    /// [`each`](Self::each). If one of them needs the large lane, all of them take it, also those
    /// that are bound to the small one.
    async fn change_each(
        &self,
        lanes: &[Lane],
        keys: &[&str],
        commands: impl Fn(usize, &Names, By) -> Vec<Cmd>,
    ) -> Result<Vec<Result<Vec<Value>>>> {
        let _noted = self.noting(keys);
        let is_bulk = |(key, lane): (&&str, &Lane)| self.changes.lane(key, *lane) == Lane::Bulk;
        let lane = match keys.iter().zip(lanes).any(is_bulk) {
            true => Lane::Bulk,
            false => Lane::Small,
        };
        let changes: Vec<_> = keys.iter().map(|key| self.changes.begin(key, lane)).collect();
        let outcome = self.each(lane, keys, commands).await;
        let of_all = outcome.as_ref().err();
        for (at, change) in changes.into_iter().enumerate() {
            let answers = outcome.as_ref().ok().and_then(|answers| answers.get(at));
            let error = of_all.or_else(|| answers?.as_ref().err());
            match error.map(CacheError::kind) {
                None => change.answered(),
                // It may be under way.
                Some(ErrorKind::Timeout) => drop(change),
                Some(_) => change.failed(),
            }
        }
        outcome
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
        let answers = self.change(Lane::Small, key, command).await?;
        Ok(answer::number(answers.into_iter().next())? == 1)
    }
}

/// Whether an error means that there is no use in asking the only server for more.
fn is_of_the_server(error: &CacheError) -> bool {
    matches!(error.kind(), ErrorKind::Connection | ErrorKind::Timeout)
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
