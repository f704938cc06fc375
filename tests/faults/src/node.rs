//! A process with a cache, which does what it reads line by line and answers each line with one.
//!
//! | line | what | answer |
//! |---|---|---|
//! | `open PATH NAME` | opens the cache of that name of a config | `ok` |
//! | `version N` | from now on the source has version `N` of every key | `ok` |
//! | `load KEY` | a value from the cache or the source | `value VERSION WRITER` |
//! | `many N KEY` | that many callers load at once | `versions V…`, each version that came once |
//! | `storm SECONDS N KEY` | that many callers load again and again for so long | `ok` |
//! | `begin KEY` | starts a load that waits in its loader | `loading`, or the value of another |
//! | `finish` | lets that load go on | `value VERSION WRITER` |
//! | `get KEY` | a value of the cache | `value VERSION WRITER` or `none` |
//! | `set KEY N` | stores a version | `ok` |
//! | `delete KEY` | removes a key | `ok` |
//! | `tag TAG`, `clear` | invalidates | `ok` |
//! | `loads` | how often the loader ran | a number |
//! | `hoard`, `let-go` | opens files until there are no more to be had, and closes them | `ok` |
//!
//! What fails is answered with `error` and the reason.

#![cfg(unix)]

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::File;
use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use larder::{Cache, CacheManager};
use larder_faults::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let (lines, mut questions) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                break;
            }
        }
    });
    let mut node = Node::default();
    // The end of the input is the end of the test.
    while let Some(line) = questions.recv().await {
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = node.answer(&words).await.unwrap_or_else(|error| format!("error {error}"));
        say(&answer);
    }
}

#[expect(clippy::print_stdout, reason = "lines on the output are what a node answers with")]
fn say(answer: &str) {
    println!("{answer}");
}

#[derive(Default)]
struct Node {
    opened: Option<(CacheManager, Loading)>,
    waiting: Option<Waiting>,
    hoard: Vec<File>,
}

/// A load whose loader waits.
struct Waiting {
    go_on: oneshot::Sender<()>,
    load: JoinHandle<Outcome<Value>>,
}

impl Node {
    async fn answer(&mut self, words: &[&str]) -> Outcome<String> {
        match *words {
            ["open", path, name] => {
                let manager = CacheManager::from_file(path).await?;
                let loading = Loading::new(manager.cache(name)?);
                self.opened = Some((manager, loading));
            }
            ["version", number] => {
                self.loading()?.version.store(number.parse()?, Ordering::SeqCst);
            }
            ["load", key] => return Ok(show(&self.loading()?.load(key, None).await?)),
            ["many", count, key] => return self.many(count.parse()?, key).await,
            ["storm", seconds, count, key] => {
                self.storm(Duration::from_secs(seconds.parse()?), count.parse()?, key).await?;
            }
            ["begin", key] => return self.begin(key).await,
            ["finish"] => {
                let waiting = self.waiting.take().ok_or("there is no load")?;
                // The loader may have been given up.
                waiting.go_on.send(()).ok();
                return Ok(show(&waiting.load.await??));
            }
            ["hoard"] => {
                let files = std::iter::from_fn(|| File::open(std::env::current_exe().ok()?).ok());
                self.hoard.extend(files);
            }
            ["let-go"] => self.hoard.clear(),
            ["loads"] => return Ok(self.loading()?.loads.load(Ordering::SeqCst).to_string()),
            _ => return self.change(words).await,
        }
        Ok("ok".to_owned())
    }

    /// What goes to the cache as it is.
    async fn change(&self, words: &[&str]) -> Outcome<String> {
        let cache = &self.loading()?.cache;
        match *words {
            ["get", key] => {
                let found = cache.get(key).await?;
                return Ok(found.map_or_else(|| "none".to_owned(), |value| show(&value)));
            }
            ["set", key, version] => cache.set(key, Value::new(key, version.parse()?)).await?,
            ["delete", key] => drop(cache.delete(key).await?),
            ["tag", tag] => cache.invalidate_tag(tag).await?,
            ["clear"] => cache.clear().await?,
            _ => return Err(format!("a node does not understand {words:?}").into()),
        }
        Ok("ok".to_owned())
    }

    async fn many(&self, count: usize, key: &str) -> Outcome<String> {
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..count {
            let (loading, key) = (self.loading()?.clone(), key.to_owned());
            callers.spawn(async move { loading.load(&key, None).await });
        }
        let mut versions = BTreeSet::new();
        while let Some(value) = callers.join_next().await {
            versions.insert(value??.version);
        }
        Ok(format!("versions {versions:?}"))
    }

    async fn storm(&self, length: Duration, count: usize, key: &str) -> Outcome<()> {
        let end = Instant::now() + length;
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..count {
            let (loading, key) = (self.loading()?.clone(), key.to_owned());
            callers.spawn(async move {
                while Instant::now() < end {
                    loading.load(&key, None).await?;
                    // A hit waits for nothing, and would keep the others from their turn.
                    tokio::task::yield_now().await;
                }
                Outcome::Ok(())
            });
        }
        while let Some(ended) = callers.join_next().await {
            ended??;
        }
        Ok(())
    }

    async fn begin(&mut self, key: &str) -> Outcome<String> {
        let (began, mut beginning) = oneshot::channel();
        let (go_on, gate) = oneshot::channel();
        let (loading, key) = (self.loading()?.clone(), key.to_owned());
        let gate = Gate { began, go_on: gate };
        let mut load = tokio::spawn(async move { loading.load(&key, Some(gate)).await });
        tokio::select! {
            biased;
            Ok(()) = &mut beginning => {
                self.waiting = Some(Waiting { go_on, load });
                Ok("loading".to_owned())
            }
            loaded = &mut load => Ok(show(&loaded??)),
        }
    }

    fn loading(&self) -> Outcome<&Loading> {
        Ok(self.opened.as_ref().map(|(_, loading)| loading).ok_or("there is no cache yet")?)
    }
}

/// The cache with the source behind it.
#[derive(Clone)]
struct Loading {
    cache: Cache<String, Value>,
    version: Arc<AtomicU64>,
    loads: Arc<AtomicUsize>,
}

/// Where a loader waits.
struct Gate {
    began: oneshot::Sender<()>,
    go_on: oneshot::Receiver<()>,
}

impl Loading {
    fn new(cache: Cache<String, Value>) -> Self {
        Self { cache, version: Arc::new(AtomicU64::new(1)), loads: Arc::default() }
    }

    async fn load(&self, key: &str, gate: Option<Gate>) -> Outcome<Value> {
        let (version, loads) = (Arc::clone(&self.version), Arc::clone(&self.loads));
        let asked = key.to_owned();
        let loader = move || async move {
            let version = version.load(Ordering::SeqCst);
            loads.fetch_add(1, Ordering::SeqCst);
            if let Some(gate) = gate {
                gate.began.send(()).ok();
                gate.go_on.await.ok();
            }
            Ok::<_, std::io::Error>(Value::new(&asked, version))
        };
        let value = self.cache.get_or_load(key, loader).await?;
        value.check(key);
        Ok(value)
    }
}

fn show(value: &Value) -> String {
    format!("value {} {}", value.version, value.writer)
}
