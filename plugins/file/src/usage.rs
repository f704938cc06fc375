//! [`Usage`], how much is stored, counted by all processes together.
//!
//! A file of 4096 bytes: the number of entries and of their bytes for each of the 256 shards, as
//! 64-bit big-endian numbers. A shard's numbers are changed under its lock. A process that is
//! killed between its work and its note leaves them wrong by one entry, until a collector walks
//! the shard and counts it again.

use std::fs::File;
use std::io;

use crate::platform::{self, Access, Dir, Stat};

const SHARDS: usize = 256;
const SHARD_LEN: usize = 16;
const FILE_LEN: usize = SHARDS * SHARD_LEN;

/// A number of files and of their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

impl Amount {
    pub(crate) const UNLIMITED: Self = Self { entries: u64::MAX, bytes: u64::MAX };

    pub(crate) const fn add(&mut self, bytes: u64) {
        self.entries = self.entries.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    pub(crate) const fn sub(&mut self, bytes: u64) {
        self.entries = self.entries.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    pub(crate) const fn is_above(self, most: Self) -> bool {
        self.entries > most.entries || self.bytes > most.bytes
    }

    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            entries: self.entries.saturating_add(other.entries),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    /// This amount scaled by `part / whole`, for entries and bytes apart; a part that is no less
    /// than the whole leaves them as they are.
    pub(crate) fn scaled(self, part: Self, whole: Self) -> Self {
        let scaled = |value: u64, part: u64, whole: u64| {
            if part >= whole {
                return u64::MAX;
            }
            let scaled = u128::from(value) * u128::from(part) / u128::from(whole);
            u64::try_from(scaled).unwrap_or(u64::MAX)
        };
        Self {
            entries: scaled(self.entries, part.entries, whole.entries),
            bytes: scaled(self.bytes, part.bytes, whole.bytes),
        }
    }

    /// Some hundredths of it; without limit what has none.
    pub(crate) fn percent(self, percent: u64) -> Self {
        let share = |whole: u64| {
            let part = u128::from(whole) * u128::from(percent) / 100;
            if whole == u64::MAX { whole } else { u64::try_from(part).unwrap_or(whole) }
        };
        Self { entries: share(self.entries), bytes: share(self.bytes) }
    }
}

/// What one operation changed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Change {
    /// The length of the file that came, if one did.
    pub(crate) came: Option<u64>,
    /// The length of the file that went, if one did.
    pub(crate) went: Option<u64>,
}

/// The counters of one epoch.
#[derive(Debug)]
pub(crate) struct Usage {
    file: File,
}

impl Usage {
    /// Opens the counters; whether they are new, and somebody has to count.
    pub(crate) fn open(dir: &Dir, epoch: &str) -> io::Result<(Self, bool)> {
        let file = dir.file(epoch, Access::Share)?;
        let is_new = Stat::of(&file)?.length != FILE_LEN as u64;
        if is_new {
            platform::write_at(&file, &[0; FILE_LEN], 0)?;
            file.set_len(FILE_LEN as u64)?;
        }
        Ok((Self { file }, is_new))
    }

    /// All shards together, about: others may be writing.
    pub(crate) fn total(&self) -> Amount {
        sum(&self.read())
    }

    /// One shard.
    pub(crate) fn shard(&self, shard: u8) -> Amount {
        amount(&self.read(), shard)
    }

    /// Every shard.
    pub(crate) fn shards(&self) -> [Amount; SHARDS] {
        let bytes = self.read();
        let mut shards = [Amount::default(); SHARDS];
        for shard in 0..=u8::MAX {
            shards[usize::from(shard)] = amount(&bytes, shard);
        }
        shards
    }

    /// Notes a change; all shards together after it. The caller holds the lock of the shard.
    pub(crate) fn note(&self, shard: u8, change: Change) -> Amount {
        let mut bytes = self.read();
        let mut found = amount(&bytes, shard);
        if let Some(length) = change.went {
            found.sub(length);
        }
        if let Some(length) = change.came {
            found.add(length);
        }
        self.write(&mut bytes, shard, found);
        sum(&bytes)
    }

    /// Replaces what was thought of a shard, or of some of its files, by what was counted, and
    /// keeps what was noted since. The caller holds the lock of the shard.
    pub(crate) fn correct(&self, shard: u8, thought: Amount, counted: Amount) {
        let mut bytes = self.read();
        let noted = amount(&bytes, shard);
        let moved = |counted: u64, noted: u64, thought: u64| {
            let moved = i128::from(counted) + i128::from(noted) - i128::from(thought);
            u64::try_from(moved.max(0)).unwrap_or(u64::MAX)
        };
        let corrected = Amount {
            entries: moved(counted.entries, noted.entries, thought.entries),
            bytes: moved(counted.bytes, noted.bytes, thought.bytes),
        };
        self.write(&mut bytes, shard, corrected);
    }

    fn read(&self) -> [u8; FILE_LEN] {
        let mut bytes = [0; FILE_LEN];
        // What cannot be read counts as nothing until a collector has counted.
        platform::read_at(&self.file, &mut bytes, 0).ok();
        bytes
    }

    fn write(&self, bytes: &mut [u8; FILE_LEN], shard: u8, amount: Amount) {
        let at = usize::from(shard) * SHARD_LEN;
        let field = &mut bytes[at..at + SHARD_LEN];
        field[..8].copy_from_slice(&amount.entries.to_be_bytes());
        field[8..].copy_from_slice(&amount.bytes.to_be_bytes());
        // What cannot be written is counted by the next collector that can.
        platform::write_at(&self.file, field, at as u64).ok();
    }
}

fn amount(bytes: &[u8; FILE_LEN], shard: u8) -> Amount {
    let number = |at: usize| {
        let mut number = [0; 8];
        number.copy_from_slice(&bytes[at..at + 8]);
        u64::from_be_bytes(number)
    };
    let at = usize::from(shard) * SHARD_LEN;
    Amount { entries: number(at), bytes: number(at + 8) }
}

fn sum(bytes: &[u8; FILE_LEN]) -> Amount {
    (0..=u8::MAX).fold(Amount::default(), |sum, shard| sum.plus(amount(bytes, shard)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount_of(entries: u64, bytes: u64) -> Amount {
        Amount { entries, bytes }
    }

    #[test]
    fn two_processes_count_together() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Dir::open(dir.path()).unwrap();
        let (first, is_new) = Usage::open(&dir, "00000001").unwrap();
        assert!(is_new);
        let (second, is_new) = Usage::open(&dir, "00000001").unwrap();
        assert!(!is_new);
        first.note(7, Change { came: Some(100), went: None });
        let total = second.note(255, Change { came: Some(50), went: None });
        assert_eq!(total, amount_of(2, 150));
        let total = second.note(7, Change { came: Some(1), went: Some(100) });
        assert_eq!(total, amount_of(2, 51));
        assert_eq!((first.total(), first.shard(7)), (total, amount_of(1, 1)));
    }

    #[test]
    fn a_correction_keeps_what_was_noted_while_somebody_counted() {
        let dir = tempfile::tempdir().unwrap();
        let (usage, _) = Usage::open(&Dir::open(dir.path()).unwrap(), "00000001").unwrap();
        usage.note(7, Change { came: Some(100), went: None });
        let thought = usage.shard(7);
        usage.note(7, Change { came: Some(10), went: None });
        usage.correct(7, thought, amount_of(5, 500));
        assert_eq!(usage.shard(7), amount_of(6, 510));
    }

    #[test]
    fn damaged_counters_stop_at_their_ends() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("00000001"), [0xff; FILE_LEN]).unwrap();
        let (usage, is_new) = Usage::open(&Dir::open(dir.path()).unwrap(), "00000001").unwrap();
        assert!(!is_new);
        let total = usage.note(1, Change { came: Some(1), went: None });
        assert_eq!(total, Amount::UNLIMITED);
        usage.correct(1, usage.shard(1), amount_of(2, 20));
        assert_eq!(usage.shard(1), amount_of(2, 20));
    }
}
