//! [`ForeignBackend`], a `larder_backend_vt` as a [`Backend`].
//!
//! Values cross as envelopes. What comes back is not believed before its checksum was compared:
//! what is no entry is a miss, and is removed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use larder_abi::table::{BackendVt, cap};
use larder_abi::{NEVER, value};
use larder_core::backend::{Deadlines, Health, Lease, Loan, ScanPage, ScanRequest};
use larder_core::envelope::{self, LONGEST_HEADER};
use larder_core::{Backend, CacheError, Capabilities, Entry, EntryMeta, ErrorKind, Result};

use super::args::{Args, Sealed, deadlines_us};
use super::keeper::{Keeper, Run};
use super::output::{Answer, Found, Many, Output, Page, missed};

mod calls;
mod now;
mod page;

/// A backend in a library.
#[derive(Debug)]
pub(crate) struct ForeignBackend {
    keeper: Arc<Keeper<BackendVt>>,
    capabilities: Capabilities,
    /// Entries that could not be read since the start.
    corrupt: AtomicU64,
}

impl ForeignBackend {
    pub(crate) fn new(keeper: Arc<Keeper<BackendVt>>, caps: u64) -> Self {
        let capabilities = capabilities(caps, keeper.table());
        Self { keeper, capabilities, corrupt: AtomicU64::new(0) }
    }

    async fn ask<O: Output>(&self, args: Args<'_>, run: Run<BackendVt, O>) -> Answer<O> {
        self.keeper.ask(args, run).await
    }

    /// Whether something was done, of a call without an output.
    async fn was_done(
        &self,
        operation: &'static str,
        args: Args<'_>,
        run: Run<BackendVt, ()>,
    ) -> Result<bool> {
        let answer = self.ask(args, run).await;
        match answer {
            Answer::Done(()) => Ok(true),
            Answer::Miss(_) => Ok(false),
            failed => failed.done(operation, &self.keeper.identity()).map(|()| true),
        }
    }

    fn needs(&self, capability: Capabilities, operation: &'static str) -> Result<()> {
        if self.capabilities.contains(capability) {
            return Ok(());
        }
        Err(CacheError::new(ErrorKind::Unsupported, "the backend cannot do this").during(operation))
    }

    fn seal(&self, entry: &Entry, operation: &'static str) -> Result<Sealed> {
        Sealed::new(entry).map_err(|error| {
            CacheError::transparent(ErrorKind::Serialization, error).during(operation)
        })
    }

    /// The entry that was found, if it is one and is not over.
    async fn open(&self, key: &str, found: Found) -> Option<Entry> {
        let Found { mut envelope, deadlines } = found;
        let Ok(mut entry) = envelope::decode_owned(&mut envelope) else {
            self.corrupt.fetch_add(1, Ordering::Relaxed);
            // A miss all the same if it cannot be removed.
            self.ask::<()>(Args::key(key), calls::remove).await;
            return None;
        };
        set_deadlines(&mut entry.meta, deadlines);
        (!self.is_dead(deadlines)).then_some(entry)
    }

    fn is_dead(&self, deadlines: Deadlines) -> bool {
        deadlines.hard.is_some_and(|end| self.keeper.clock().has_come(end))
    }
}

fn set_deadlines(meta: &mut EntryMeta, deadlines: Deadlines) {
    (meta.soft_deadline, meta.hard_deadline) = (deadlines.soft, deadlines.hard);
}

/// What a library declares and has a function for.
pub(crate) fn capabilities(caps: u64, table: &BackendVt) -> Capabilities {
    // The envelope has the tags, so no backend can lose them.
    let mut capabilities = Capabilities::TAGS;
    let mut offer = |bit: u64, capability: Capabilities, has_function: bool| {
        capabilities.set(capability, caps & bit != 0 && has_function);
    };
    let leases = table.lease.is_some() && table.fill.is_some() && table.release.is_some();
    let many = table.get_many.is_some() || table.set_many.is_some() || table.remove_many.is_some();
    offer(cap::TTL, Capabilities::TTL, true);
    offer(cap::TOUCH, Capabilities::TOUCH, table.touch.is_some());
    offer(cap::SCAN, Capabilities::SCAN, table.scan.is_some());
    offer(cap::BATCH, Capabilities::BATCH, many);
    offer(cap::PERSIST, Capabilities::PERSIST, true);
    offer(cap::SHARED, Capabilities::SHARED, true);
    offer(cap::PUT_IF_NEWER, Capabilities::PUT_IF_NEWER, table.put_if_newer.is_some());
    offer(cap::LEASE, Capabilities::LEASE, leases);
    offer(cap::HEADER_READ, Capabilities::HEADER_READ, table.get_head.is_some());
    capabilities
}

#[async_trait]
impl Backend for ForeignBackend {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn start(&self) -> Result<()> {
        let answer = self.keeper.start().await;
        answer.done("start", &self.keeper.identity())
    }

    fn get_now(&self, key: &str) -> Option<Result<Option<Loan>>> {
        if !self.keeper.is_sync() {
            return None;
        }
        self.get_here(key)
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        if let Some(answer) = self.get_now(key) {
            return Ok(answer?.map(Loan::into_entry));
        }
        match self.ask(Args::key(key), calls::get).await {
            Answer::Done(found) => Ok(self.open(key, found).await),
            Answer::Miss(_) => Ok(None),
            failed => failed.done("get", &self.keeper.identity()).map(|_| None),
        }
    }

    async fn set(&self, key: &str, entry: Entry) -> Result<()> {
        let entries = vec![self.seal(&entry, "set")?];
        let answer = self.ask(Args { entries, ..Args::key(key) }, calls::set).await;
        match answer {
            Answer::Done(()) => Ok(()),
            failed => failed.done("set", &self.keeper.identity()),
        }
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        self.was_done("delete", Args::key(key), calls::remove).await
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        if self.keeper.table().exists.is_none() {
            return Ok(self.get(key).await?.is_some());
        }
        self.was_done("exists", Args::key(key), calls::exists).await
    }

    async fn clear(&self) -> Result<()> {
        let answer = self.ask(Args::default(), calls::clear).await;
        answer.done("clear", &self.keeper.identity())
    }

    async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Entry>>> {
        if keys.is_empty() || self.keeper.table().get_many.is_none() {
            let mut entries = Vec::with_capacity(keys.len());
            for key in keys {
                entries.push(self.get(key).await?);
            }
            return Ok(entries);
        }
        let identity = self.keeper.identity();
        let answer = self.ask::<Many>(Args::keys(keys.iter().copied()), calls::get_many).await;
        let found = answer.done("get_many", &identity)?;
        let mut entries = Vec::with_capacity(keys.len());
        for (key, found) in keys.iter().zip(found) {
            entries.push(match found {
                Ok(Some(found)) => self.open(key, found).await,
                Ok(None) => None,
                Err(status) => {
                    let failure = super::failure::Failure::ours(status, "");
                    return Err(failure.into_error("get_many", &identity));
                }
            });
        }
        Ok(entries)
    }

    async fn set_many(&self, entries: Vec<(String, Entry)>) -> Result<()> {
        if entries.is_empty() || self.keeper.table().set_many.is_none() {
            for (key, entry) in entries {
                self.set(&key, entry).await?;
            }
            return Ok(());
        }
        let sealed: Result<Vec<Sealed>> =
            entries.iter().map(|(_, entry)| self.seal(entry, "set_many")).collect();
        let keys = Args::keys(entries.iter().map(|(key, _)| key.as_str()));
        let answer = self.ask(Args { entries: sealed?, ..keys }, calls::set_many).await;
        answer.done("set_many", &self.keeper.identity())
    }

    async fn delete_many(&self, keys: &[&str]) -> Result<u64> {
        if keys.is_empty() || self.keeper.table().remove_many.is_none() {
            let mut deleted = 0;
            for key in keys {
                deleted += u64::from(self.delete(key).await?);
            }
            return Ok(deleted);
        }
        let args = Args::keys(keys.iter().copied());
        let answer = self.ask(args, calls::remove_many).await;
        let deleted: u64 = answer.done("delete_many", &self.keeper.identity())?;
        Ok(deleted.min(keys.len() as u64))
    }

    async fn touch(&self, key: &str, deadlines: Deadlines) -> Result<bool> {
        self.needs(Capabilities::TOUCH, "touch")?;
        let (soft_us, hard_us) = deadlines_us(deadlines);
        self.was_done("touch", Args { soft_us, hard_us, ..Args::key(key) }, calls::touch).await
    }

    async fn scan(&self, request: ScanRequest) -> Result<ScanPage> {
        self.needs(Capabilities::SCAN, "scan")?;
        let args = Args {
            prefix: request.prefix.as_str().into(),
            cursor: request.cursor.as_deref().unwrap_or_default().into(),
            amount: request.limit as u64,
            ..Args::default()
        };
        let identity = self.keeper.identity();
        let page: Page = self.ask(args, calls::scan).await.done("scan", &identity)?;
        page::read(&page, &request).map_err(|what| {
            let wrong: Answer<()> = Answer::broken(what);
            wrong.done("scan", &identity).expect_err("it is a failure")
        })
    }

    async fn put_if_newer(&self, key: &str, entry: Entry) -> Result<bool> {
        self.needs(Capabilities::PUT_IF_NEWER, "put_if_newer")?;
        let entries = vec![self.seal(&entry, "put_if_newer")?];
        let args = Args { entries, ..Args::key(key) };
        self.was_done("put_if_newer", args, calls::put_if_newer).await
    }

    async fn lease(&self, key: &str, duration: Duration) -> Result<Lease> {
        self.needs(Capabilities::LEASE, "lease")?;
        let amount = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let answer = self.ask(Args { amount, ..Args::key(key) }, calls::lease).await;
        let held = |lease: value::Lease| {
            let known = lease.remaining_us != NEVER;
            let micros = u64::try_from(lease.remaining_us).unwrap_or(0);
            Lease::Held { remaining: known.then(|| Duration::from_micros(micros)) }
        };
        match answer {
            Answer::Miss(Some(lease)) => Ok(held(lease)),
            answer => {
                let identity = self.keeper.identity();
                let found = answer.found("lease", &identity)?;
                let lease = found.ok_or_else(|| missed("lease", &identity))?;
                Ok(Lease::Granted { token: lease.token })
            }
        }
    }

    async fn fill(&self, key: &str, entry: Entry, token: u64) -> Result<bool> {
        self.needs(Capabilities::LEASE, "fill")?;
        let entries = vec![self.seal(&entry, "fill")?];
        self.was_done("fill", Args { entries, token, ..Args::key(key) }, calls::fill).await
    }

    async fn release(&self, key: &str, token: u64) -> Result<bool> {
        self.needs(Capabilities::LEASE, "release")?;
        self.was_done("release", Args { token, ..Args::key(key) }, calls::release).await
    }

    async fn meta(&self, key: &str) -> Result<Option<EntryMeta>> {
        if !self.capabilities.contains(Capabilities::HEADER_READ) {
            return Ok(self.get(key).await?.map(|entry| entry.meta));
        }
        let args = Args { amount: LONGEST_HEADER as u64, ..Args::key(key) };
        let answer = self.ask::<Found>(args, calls::get_head).await;
        let found = answer.found("meta", &self.keeper.identity())?;
        let meta = found.and_then(|found| {
            let mut meta = envelope::decode_header(&found.envelope).ok()?;
            set_deadlines(&mut meta, found.deadlines);
            Some(meta)
        });
        Ok(meta.filter(|meta| !meta.is_dead(self.keeper.clock().wall())))
    }

    async fn health(&self) -> Result<Health> {
        let mut health = if self.keeper.table().health.is_some() {
            let answer = self.ask::<Health>(Args::default(), calls::health).await;
            answer.done("health", &self.keeper.identity())?
        } else {
            Health::default()
        };
        health.corrupt = health.corrupt.saturating_add(self.corrupt.load(Ordering::Relaxed));
        Ok(health)
    }

    async fn flush(&self) -> Result<()> {
        let answer = self.ask(Args::default(), calls::flush).await;
        answer.done("flush", &self.keeper.identity())
    }

    async fn close(&self) -> Result<()> {
        let answer = self.ask(Args::default(), calls::close).await;
        answer.done("close", &self.keeper.identity())
    }
}
