//! A library with a copy of tokio and of `tracing` of its own, whose backend does what the key
//! says: the other side of the tests of this crate.

use std::future::pending;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use larder_core::{
    Backend, BuildContext, CacheError, Capabilities, Entry, ErrorKind, PluginConfig, Result,
    async_trait,
};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

larder_dynamic::export_plugin! {
    "tested-restless",
    backend: RestlessConfig,
}

/// Options of `tested.restless`: none.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RestlessConfig {}

#[async_trait]
impl PluginConfig for RestlessConfig {
    const KIND: &'static str = "tested.restless";
    const SUMMARY: &'static str = "does what the key says";
    const CAPABILITIES: Capabilities = Capabilities::TAGS;
    type Plugin = Restless;

    async fn build(self, _: &BuildContext) -> Result<Restless> {
        let runtime = Builder::new_multi_thread().worker_threads(1).build();
        let runtime = runtime
            .map_err(|error| CacheError::transparent(ErrorKind::Capacity, error).during("build"))?;
        Ok(Restless { runtime: Mutex::new(Some(runtime)) })
    }
}

/// How many calls wait for nothing, and how many of those were given up.
static BEGUN: AtomicUsize = AtomicUsize::new(0);
static GIVEN_UP: AtomicUsize = AtomicUsize::new(0);

/// Counts a call that waits for nothing.
struct Waiting;

impl Waiting {
    fn begin() -> Self {
        BEGUN.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        GIVEN_UP.fetch_add(1, Ordering::SeqCst);
    }
}

/// A backend with one more runtime, which it ends when it is told to.
#[derive(Debug)]
pub struct Restless {
    runtime: Mutex<Option<Runtime>>,
}

impl Restless {
    fn runtime(&self) -> MutexGuard<'_, Option<Runtime>> {
        self.runtime.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there was a runtime to end.
    fn end_runtime(&self) -> bool {
        let runtime = self.runtime().take();
        runtime.map(Runtime::shutdown_background).is_some()
    }

    /// Waits for a task of the runtime of this backend, which ends with the runtime.
    async fn wait_for_the_runtime(&self) -> Result<()> {
        let gone = || CacheError::new(ErrorKind::Closed, "its runtime has ended");
        let task = self.runtime().as_ref().map(|runtime| {
            runtime.spawn(async {
                BEGUN.fetch_add(1, Ordering::SeqCst);
                pending::<()>().await;
            })
        });
        task.ok_or_else(gone)?.await.map_err(|_| gone())
    }
}

impl Drop for Restless {
    fn drop(&mut self) {
        self.end_runtime();
    }
}

/// Sends a byte to this process.
async fn talk() -> std::io::Result<u8> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let answer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        stream.write_u8(7).await
    });
    let received = TcpStream::connect(address).await?.read_u8().await?;
    answer.await.map_err(std::io::Error::other)??;
    Ok(received)
}

#[async_trait]
impl Backend for Restless {
    fn capabilities(&self) -> Capabilities {
        RestlessConfig::CAPABILITIES
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        let value = match key {
            "timer" => {
                let mut timer = tokio::time::interval(Duration::from_millis(1));
                // The first tick is at once.
                timer.tick().await;
                timer.tick().await;
                "done".to_owned()
            }
            "tcp" => {
                let received = talk().await;
                let failed = |error| CacheError::transparent(ErrorKind::Connection, error);
                received.map_err(|error| failed(error).during("talk"))?.to_string()
            }
            "task" => tokio::spawn(async { "done" }).await.unwrap_or("not done").to_owned(),
            "block" => {
                // So that it is not the thread of the caller.
                tokio::task::yield_now().await;
                tokio::task::block_in_place(|| "done".to_owned())
            }
            "never" => {
                let _waiting = Waiting::begin();
                pending().await
            }
            "runtime" => {
                self.wait_for_the_runtime().await?;
                "done".to_owned()
            }
            "begun" => BEGUN.load(Ordering::SeqCst).to_string(),
            "given up" => GIVEN_UP.load(Ordering::SeqCst).to_string(),
            "says" => {
                tracing::info!(answer = 42, "during the call");
                tracing::debug!("in detail");
                "said".to_owned()
            }
            "says later" => {
                tokio::task::yield_now().await;
                tracing::info!("after the call");
                "said".to_owned()
            }
            "thread" => {
                let thread = std::thread::spawn(|| tracing::info!("from a thread"));
                thread.join().map_or("panicked", |()| "said").to_owned()
            }
            _ => return Ok(None),
        };
        Ok(Some(Entry { value: value.into(), ..Entry::default() }))
    }

    async fn set(&self, _: &str, _: Entry) -> Result<()> {
        Ok(())
    }

    /// Ends the runtime of this backend, whatever the key is.
    async fn delete(&self, _: &str) -> Result<bool> {
        Ok(self.end_runtime())
    }

    async fn clear(&self) -> Result<()> {
        Ok(())
    }
}
