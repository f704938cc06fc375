//! [`Notebook`], a backend that can do everything, and on request one thing wrong.
//!
//! What it keeps stands in one file of the place, read and written as a whole under a lock that
//! all notebooks share, so that two of them share their entries and a new one finds them again.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use larder_conformance::Place;
use larder_core::backend::{Deadlines, Lease, Loan, ScanPage, ScanRequest};
use larder_core::{
    Backend, Bytes, CacheError, Capabilities, Clock, Entry, ErrorKind, ManualClock, Result,
    Timestamp, async_trait, envelope,
};
use tokio::task::yield_now;

/// What a notebook does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    None,
    AnswersTooSoon,
    ClearKeepsLeases,
    ClearsHalf,
    CutsLargeValues,
    CutsLongKeys,
    DeletesTwice,
    DropsTombstones,
    FillsAnyway,
    FillsLate,
    FoldsCase,
    Forgets,
    HidesLeases,
    HidesTheStale,
    KeepsTheDead,
    KeepsTheFirst,
    LeasesForEver,
    LeasesTwice,
    ListsGhosts,
    LosesTags,
    PanicsWhenClosed,
    PutsTheEqual,
    PutsTheOlder,
    ReleasesForAll,
    ReleasesNothing,
    SkipsAPage,
    SortsBatches,
    TouchesStamps,
    TrustsFiles,
    WakesTheDead,
    WritesInParts,
}

/// The entries as bytes, and when each lease ends.
#[derive(Debug, Default)]
struct Page {
    entries: BTreeMap<String, Vec<u8>>,
    leases: BTreeMap<String, (Timestamp, u64)>,
}

#[derive(Debug)]
pub(crate) struct Notebook {
    file: PathBuf,
    clock: ManualClock,
    capabilities: Capabilities,
    fault: Fault,
    /// The entries of one that neither persists nor shares.
    own: Option<Mutex<Page>>,
    closed: AtomicBool,
}

static LOCK: Mutex<u64> = Mutex::new(0);

impl Notebook {
    pub(crate) fn open(place: &Place, fault: Fault) -> Self {
        fs::create_dir_all(place.dir()).unwrap();
        let file = place.dir().join("notebook");
        let capabilities = Capabilities::all() - Capabilities::TYPED - Capabilities::LOG;
        let own = (fault == Fault::Forgets).then(Mutex::default);
        let clock = place.clock().clone();
        Self { file, clock, capabilities, fault, own, closed: AtomicBool::new(false) }
    }

    pub(crate) fn plain(place: &Place) -> Self {
        let mut notebook = Self::open(place, Fault::None);
        notebook.capabilities = Capabilities::empty();
        notebook.own = Some(Mutex::default());
        notebook
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    /// Reads the page, changes it, writes it.
    fn with<R>(&self, work: impl FnOnce(&mut Page, &mut u64) -> R) -> R {
        // A case that found a fault panicked under it.
        let mut tokens = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = &self.own {
            return work(&mut own.lock().unwrap(), &mut tokens);
        }
        let mut page = self.read();
        let answer = work(&mut page, &mut tokens);
        self.write(&page);
        answer
    }

    fn key(&self, key: &str) -> String {
        match self.fault {
            Fault::FoldsCase => key.to_lowercase(),
            Fault::CutsLongKeys => key.chars().take(1000).collect(),
            _ => key.to_owned(),
        }
    }

    fn find(&self, page: &Page, key: &str) -> Option<Entry> {
        let bytes = page.entries.get(&self.key(key))?;
        let entry = envelope::decode(&Bytes::copy_from_slice(bytes)).ok()?;
        let now = self.clock.wall();
        let is_gone = entry.meta.is_dead(now) && !self.is(Fault::KeepsTheDead)
            || entry.meta.is_stale(now) && self.is(Fault::HidesTheStale);
        (!is_gone).then_some(entry)
    }

    fn holds(&self, page: &Page, key: &str, token: u64) -> bool {
        let now = self.clock.wall();
        page.leases
            .get(key)
            .is_some_and(|(end, held)| *held == token && (*end > now || self.is(Fault::FillsLate)))
    }

    fn store(&self, page: &mut Page, key: &str, mut entry: Entry) {
        let is_tombstone = entry.meta.tombstone;
        if self.is(Fault::LosesTags) || !self.capabilities.contains(Capabilities::TAGS) {
            entry.meta.tags.clear();
        }
        if self.is(Fault::CutsLargeValues) && entry.value.len() > 65_536 {
            entry.value.truncate(65_536);
        }
        if is_tombstone && self.is(Fault::DropsTombstones) {
            return;
        }
        if self.is(Fault::KeepsTheFirst) && page.entries.contains_key(key) {
            return;
        }
        let mut bytes = Vec::new();
        envelope::encode(&entry, &mut bytes).unwrap();
        page.entries.insert(self.key(key), bytes);
        if !self.is(Fault::LeasesForEver) {
            page.leases.remove(key);
        }
    }

    /// What stands in the file; nothing, if it was changed.
    fn read(&self) -> Page {
        let bytes = fs::read(&self.file).unwrap_or_default();
        let (sum, mut body) = bytes.split_at(bytes.len().min(4));
        let trusts = self.is(Fault::TrustsFiles);
        let mut page = Page::default();
        if sum != crc32c::crc32c(body).to_be_bytes() && !trusts {
            return page;
        }
        while let (Some(key), Some(value)) = (take(&mut body), take(&mut body)) {
            let key = String::from_utf8_lossy(&key).into_owned();
            if let Some(key) = key.strip_prefix(LEASE) {
                let number = |at| u64::from_be_bytes(value[at..at + 8].try_into().unwrap());
                page.leases.insert(key.to_owned(), (Timestamp::from_micros(number(0)), number(8)));
            } else if trusts {
                let mut bytes = Vec::new();
                let value = Bytes::from(value);
                envelope::encode(&Entry { value, ..Entry::default() }, &mut bytes).unwrap();
                page.entries.insert(key, bytes);
            } else {
                page.entries.insert(key, value);
            }
        }
        page
    }

    fn write(&self, page: &Page) {
        let mut body = Vec::new();
        let mut put = |key: &str, value: &[u8]| {
            for part in [key.as_bytes(), value] {
                body.extend((part.len() as u32).to_be_bytes());
                body.extend(part);
            }
        };
        for (key, entry) in &page.entries {
            let value = envelope::decode(&Bytes::copy_from_slice(entry)).unwrap().value;
            put(key, if self.is(Fault::TrustsFiles) { &value } else { entry });
        }
        for (key, (end, token)) in &page.leases {
            let value = [end.as_micros().to_be_bytes(), token.to_be_bytes()].concat();
            put(&format!("{LEASE}{key}"), &value);
        }
        let sum = crc32c::crc32c(&body).to_be_bytes();
        fs::write(&self.file, [&sum[..], &body].concat()).unwrap();
    }
}

/// No key of a test begins with this.
const LEASE: &str = "\u{1}lease ";

/// The next part of a body, as much of it as there is.
fn take(body: &mut &[u8]) -> Option<Vec<u8>> {
    let (length, rest) = body.split_at_checked(4)?;
    let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
    let (part, rest) = rest.split_at(length.min(rest.len()));
    *body = rest;
    Some(part.to_vec())
}

#[async_trait]
impl Backend for Notebook {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        assert!(!self.is_closed(), "it was closed");
        Ok(self.with(|page, _| self.find(page, key)))
    }

    /// For one at fault: what is over or gone is there all the same.
    fn get_now(&self, key: &str) -> Option<Result<Option<Loan>>> {
        if !self.is(Fault::AnswersTooSoon) || self.is_closed() {
            return None;
        }
        let read =
            |bytes: &Vec<u8>| envelope::decode(&Bytes::from(bytes.clone())).ok().map(Loan::from);
        Some(Ok(self.with(|page, _| page.entries.get(key).and_then(read))))
    }

    async fn set(&self, key: &str, mut entry: Entry) -> Result<()> {
        if self.is(Fault::WritesInParts) {
            let whole = entry.value.clone();
            entry.value = whole.slice(..whole.len() / 2);
            self.with(|page, _| self.store(page, key, entry.clone()));
            yield_now().await;
            entry.value = whole;
        }
        self.with(|page, _| self.store(page, key, entry));
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        let was_there = self.with(|page, _| {
            let was_there = self.find(page, key).is_some();
            page.entries.remove(&self.key(key));
            page.leases.remove(key);
            was_there
        });
        Ok(was_there || self.is(Fault::DeletesTwice))
    }

    async fn clear(&self) -> Result<()> {
        self.with(|page, _| {
            let kept = page.entries.pop_first().filter(|_| self.is(Fault::ClearsHalf));
            page.entries.clear();
            page.entries.extend(kept);
            if !self.is(Fault::ClearKeepsLeases) {
                page.leases.clear();
            }
        });
        Ok(())
    }

    async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Entry>>> {
        let mut keys = keys.to_vec();
        if self.is(Fault::SortsBatches) {
            keys.sort_unstable();
        }
        Ok(self.with(|page, _| keys.iter().map(|key| self.find(page, key)).collect()))
    }

    async fn touch(&self, key: &str, deadlines: Deadlines) -> Result<bool> {
        if !self.capabilities.contains(Capabilities::TOUCH) {
            return Err(unsupported());
        }
        let wakes = self.is(Fault::WakesTheDead);
        Ok(self.with(|page, _| {
            if self.find(page, key).is_none() && !wakes {
                return false;
            }
            let Some(bytes) = page.entries.get_mut(&self.key(key)) else { return false };
            envelope::patch_deadlines(bytes, deadlines).unwrap();
            if self.is(Fault::TouchesStamps) {
                let mut entry = self.find(page, key).unwrap();
                entry.meta.stamp.origin = 0;
                self.store(page, key, entry);
            }
            true
        }))
    }

    async fn scan(&self, request: ScanRequest) -> Result<ScanPage> {
        if !self.capabilities.contains(Capabilities::SCAN) {
            return Err(unsupported());
        }
        let limit = if request.limit == 0 { 100 } else { request.limit };
        Ok(self.with(|page, _| {
            let after = request.cursor.clone().unwrap_or_default();
            let (entries, leases) = match request.leased && !self.is(Fault::HidesLeases) {
                false => (Some(page.entries.keys()), None),
                true => (None, Some(page.leases.keys())),
            };
            let listed = entries.into_iter().flatten().chain(leases.into_iter().flatten());
            let listed = listed.filter(|key| **key > after);
            let listed: Vec<String> = listed.take(limit).cloned().collect();
            let next = (listed.len() == limit).then(|| listed[limit - 1].clone());
            let mut keys = listed;
            keys.retain(|key| key.starts_with(&request.prefix));
            if self.is(Fault::SkipsAPage) && request.cursor.is_some() {
                keys.clear();
            }
            if self.is(Fault::ListsGhosts) {
                keys.push("ghost".to_owned());
            }
            ScanPage { keys, next }
        }))
    }

    async fn put_if_newer(&self, key: &str, entry: Entry) -> Result<bool> {
        if !self.capabilities.contains(Capabilities::PUT_IF_NEWER) {
            return Err(unsupported());
        }
        Ok(self.with(|page, _| {
            let is_newer = self.find(page, key).is_none_or(|old| {
                entry.meta.stamp > old.meta.stamp
                    || self.is(Fault::PutsTheEqual) && entry.meta.stamp == old.meta.stamp
            });
            let is_put = is_newer || self.is(Fault::PutsTheOlder);
            if is_put {
                self.store(page, key, entry);
            }
            is_put
        }))
    }

    async fn lease(&self, key: &str, duration: Duration) -> Result<Lease> {
        if !self.capabilities.contains(Capabilities::LEASE) {
            return Err(unsupported());
        }
        let now = self.clock.wall();
        Ok(self.with(|page, tokens| {
            let held = page.leases.get(key).filter(|(end, _)| *end > now);
            if let Some((end, _)) = held.filter(|_| !self.is(Fault::LeasesTwice)) {
                return Lease::Held { remaining: Some(end.since(now)) };
            }
            *tokens += 1;
            page.leases.insert(key.to_owned(), (now.after(duration), *tokens));
            Lease::Granted { token: *tokens }
        }))
    }

    async fn fill(&self, key: &str, entry: Entry, token: u64) -> Result<bool> {
        if !self.capabilities.contains(Capabilities::LEASE) {
            return Err(unsupported());
        }
        Ok(self.with(|page, _| {
            let is_held = self.holds(page, key, token) || self.is(Fault::FillsAnyway);
            if is_held {
                self.store(page, key, entry);
                page.leases.remove(key);
            }
            is_held
        }))
    }

    async fn release(&self, key: &str, token: u64) -> Result<bool> {
        if !self.capabilities.contains(Capabilities::LEASE) {
            return Err(unsupported());
        }
        Ok(self.with(|page, _| {
            let is_held = self.holds(page, key, token) || self.is(Fault::ReleasesForAll);
            if is_held && !self.is(Fault::ReleasesNothing) {
                page.leases.remove(key);
            }
            is_held
        }))
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(self.is(Fault::PanicsWhenClosed), Ordering::Release);
        Ok(())
    }
}

fn unsupported() -> CacheError {
    CacheError::new(ErrorKind::Unsupported, "a plain notebook cannot do this")
}
