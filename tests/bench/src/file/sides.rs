//! The sides that are crates: ours, with and without a runtime, and `cacache`.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use larder::{Blocking, Cache, CacheManager, Format};
use tokio::runtime::{Builder, Runtime};

use super::{BATCH, Operation, key, value};
use crate::Failure;

/// A cache on the disk that does an operation with some keys, and says how long it took.
pub(crate) trait Side {
    fn run(&mut self, operation: Operation, keys: Range<u64>) -> Result<Duration, Failure>;
}

/// Keys and values, made before the clock starts.
struct Work {
    entries: Vec<(String, String)>,
}

impl Work {
    fn new(numbers: Range<u64>) -> Self {
        Self { entries: numbers.map(|number| (key(number), value(number))).collect() }
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(key, _)| &**key)
    }

    /// Refuses an answer that is not what was stored.
    fn look_at<B: AsRef<[u8]>>(&self, found: &[Option<B>]) -> Result<(), Failure> {
        for ((key, value), found) in self.entries.iter().zip(found) {
            if found.as_ref().map(AsRef::as_ref) != Some(value.as_bytes()) {
                return Err(format!("`{key}` is not what was stored").into());
            }
        }
        Ok(())
    }
}

/// Our file backend behind the typed handle of a cache that a config text declares.
pub(crate) struct Ours {
    cache: Blocking<String, String>,
}

impl Ours {
    pub(crate) fn open(dir: &Path) -> Result<Self, Failure> {
        let caches = builder(dir, "").build_blocking()?;
        Ok(Self { cache: caches.cache::<String, String>("bench")?.blocking() })
    }
}

impl Side for Ours {
    fn run(&mut self, operation: Operation, keys: Range<u64>) -> Result<Duration, Failure> {
        let work = Work::new(keys);
        let (cache, mut found) = (&self.cache, Vec::with_capacity(work.entries.len()));
        let entries = work.entries.clone();
        let start = Instant::now();
        match operation {
            Operation::Delete => {
                for key in work.keys() {
                    cache.delete(key)?;
                }
            }
            Operation::GetMany => {
                for batch in work.entries.chunks(BATCH) {
                    found.extend(cache.get_many(batch.iter().map(|(key, _)| &**key))?);
                }
            }
            Operation::Hit => {
                for key in work.keys() {
                    found.push(cache.get(key)?);
                }
            }
            Operation::Overwrite | Operation::Set => {
                for (key, value) in entries {
                    cache.set(&key, value)?;
                }
            }
            Operation::SetMany => {
                let mut entries = entries.into_iter();
                for _ in 0..work.entries.len() / BATCH {
                    cache.set_many(entries.by_ref().take(BATCH))?;
                }
            }
        }
        let took = start.elapsed();
        work.look_at(&found)?;
        Ok(took)
    }
}

/// The same, from a task of a runtime.
pub(crate) struct OursAsync {
    cache: Cache<String, String>,
    runtime: Runtime,
}

impl OursAsync {
    pub(crate) fn open(dir: &Path) -> Result<Self, Failure> {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
        let caches = runtime.block_on(builder(dir, "").build())?;
        Ok(Self { cache: caches.cache("bench")?, runtime })
    }
}

impl Side for OursAsync {
    fn run(&mut self, operation: Operation, keys: Range<u64>) -> Result<Duration, Failure> {
        let (cache, work) = (self.cache.clone(), Work::new(keys));
        // On a worker, as in an application: the thread of `block_on` is none.
        let task = self.runtime.spawn(async move {
            let mut found = Vec::with_capacity(work.entries.len());
            let entries = work.entries.clone();
            let start = Instant::now();
            match operation {
                Operation::Delete => {
                    for key in work.keys() {
                        cache.delete(key).await?;
                    }
                }
                Operation::GetMany => {
                    for batch in work.entries.chunks(BATCH) {
                        found.extend(cache.get_many(batch.iter().map(|(key, _)| &**key)).await?);
                    }
                }
                Operation::Hit => {
                    for key in work.keys() {
                        found.push(cache.get(key).await?);
                    }
                }
                Operation::Overwrite | Operation::Set => {
                    for (key, value) in entries {
                        cache.set(&key, value).await?;
                    }
                }
                Operation::SetMany => {
                    let mut entries = entries.into_iter();
                    for _ in 0..work.entries.len() / BATCH {
                        cache.set_many(entries.by_ref().take(BATCH)).await?;
                    }
                }
            }
            let took = start.elapsed();
            work.look_at(&found)?;
            Ok(took)
        });
        self.runtime.block_on(task)?
    }
}

/// `cacache`, which has no calls for many keys: they are loops.
pub(crate) struct Cacache {
    dir: PathBuf,
}

impl Cacache {
    pub(crate) fn open(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }
}

impl Side for Cacache {
    fn run(&mut self, operation: Operation, keys: Range<u64>) -> Result<Duration, Failure> {
        let work = Work::new(keys);
        let mut found = Vec::with_capacity(work.entries.len());
        let start = Instant::now();
        match operation {
            Operation::Delete => {
                for key in work.keys() {
                    cacache::remove_sync(&self.dir, key)?;
                }
            }
            Operation::GetMany | Operation::Hit => {
                for key in work.keys() {
                    found.push(Some(cacache::read_sync(&self.dir, key)?));
                }
            }
            Operation::Overwrite | Operation::Set | Operation::SetMany => {
                for (key, value) in &work.entries {
                    cacache::write_sync(&self.dir, key, value)?;
                }
            }
        }
        let took = start.elapsed();
        work.look_at(&found)?;
        Ok(took)
    }
}

/// A cache of files alone, with more options.
pub(crate) fn builder(dir: &Path, options: &str) -> larder::CacheManagerBuilder {
    let dir = dir.display();
    let text = format!(
        "version = 1\n[caches.bench]\nbackend = {{ kind = \"file\", dir = \"{dir}\"{options} }}\n"
    );
    CacheManager::builder().text("bench.toml", Format::Toml, text)
}
