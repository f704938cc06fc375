//! A plugin in Rust behind its own table, in this process: answers, panics, ends.

use std::future::pending;
use std::panic::panic_any;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Waker};
use std::time::Duration;

use async_trait::async_trait;
use larder_abi::table::cap;
use larder_core::backend::{Deadlines, Health, ScanRequest};
use larder_core::{
    Backend, BuildContext, CacheError, Capabilities, Entry, ErrorKind, PluginConfig, Result,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::part;
use crate::library::Component;
use crate::testing;

mod at_once;
mod grim;

/// A backend that does what the key says.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MoodyConfig {
    /// Whether it cannot even be built.
    #[serde(default)]
    panics: bool,
}

#[derive(Debug)]
struct Moody;

/// How many instances were dropped.
static DROPPED: AtomicUsize = AtomicUsize::new(0);

/// How many futures were dropped before they were done.
static GIVEN_UP: AtomicUsize = AtomicUsize::new(0);

impl Drop for Moody {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::SeqCst);
    }
}

struct Work;

impl Drop for Work {
    fn drop(&mut self) {
        GIVEN_UP.fetch_add(1, Ordering::SeqCst);
    }
}

/// A payload that panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic_any(Self);
    }
}

#[async_trait]
impl PluginConfig for MoodyConfig {
    const KIND: &'static str = "tested.moody";
    const SUMMARY: &'static str = "does what the key says";
    const CAPABILITIES: Capabilities = Capabilities::all();

    type Plugin = Moody;

    async fn build(self, _: &BuildContext) -> Result<Moody> {
        assert!(!self.panics, "not in the mood");
        Ok(Moody)
    }
}

/// Sends a byte to itself over a socket.
async fn talk() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let at = listener.local_addr().expect("it has one");
    let (there, here) = tokio::join!(tokio::net::TcpStream::connect(at), listener.accept());
    let (there, (here, _)) = (there.expect("it listens"), here.expect("it is called"));
    there.writable().await.expect("it is open");
    assert_eq!(there.try_write(b"!").expect("there is room for one byte"), 1);
    here.readable().await.expect("it is open");
    let mut read = [0];
    assert_eq!(here.try_read(&mut read).expect("it was sent"), 1);
}

#[async_trait]
impl Backend for Moody {
    fn capabilities(&self) -> Capabilities {
        MoodyConfig::CAPABILITIES
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        match key {
            "panic" => panic!("not now"),
            "bomb" => panic_any(Bomb),
            "panic later" => {
                tokio::task::yield_now().await;
                panic!("not later either")
            }
            "timer" => drop(tokio::time::interval(Duration::from_millis(1)).tick().await),
            "tcp" => talk().await,
            "block" => {
                // So that it is not the thread of the caller.
                tokio::task::yield_now().await;
                tokio::task::block_in_place(std::thread::yield_now);
            }
            "thread" => {
                let panicked = std::thread::spawn(|| panic!("on a thread of the plugin")).join();
                assert!(panicked.is_err());
            }
            "task" => tokio::spawn(async {}).await.expect("it does nothing"),
            "never" => {
                let _work = Work;
                pending().await
            }
            "error" => {
                return Err(
                    CacheError::new(ErrorKind::Capacity, "no more room").hint("buy a larger house")
                );
            }
            _ => return Ok(None),
        }
        Ok(Some(Entry { value: key.to_owned().into(), ..Entry::default() }))
    }

    async fn set(&self, _: &str, _: Entry) -> Result<()> {
        panic!("set")
    }

    async fn delete(&self, _: &str) -> Result<bool> {
        panic!("delete")
    }

    async fn exists(&self, _: &str) -> Result<bool> {
        panic!("exists")
    }

    async fn clear(&self) -> Result<()> {
        panic!("clear")
    }

    async fn touch(&self, _: &str, _: Deadlines) -> Result<bool> {
        panic!("touch")
    }

    async fn scan(&self, _: ScanRequest) -> Result<larder_core::backend::ScanPage> {
        panic!("scan")
    }

    async fn lease(&self, _: &str, _: Duration) -> Result<larder_core::backend::Lease> {
        panic!("lease")
    }

    async fn fill(&self, _: &str, _: Entry, _: u64) -> Result<bool> {
        panic!("fill")
    }

    async fn release(&self, _: &str, _: u64) -> Result<bool> {
        panic!("release")
    }

    async fn health(&self) -> Result<Health> {
        panic!("health")
    }

    async fn start(&self) -> Result<()> {
        panic!("start")
    }

    async fn flush(&self) -> Result<()> {
        panic!("flush")
    }
}

static MOODY: LazyLock<&Component> =
    LazyLock::new(|| testing::component(part::backend::<MoodyConfig>().component()));

async fn moody(cache: &str) -> Arc<dyn Backend> {
    testing::build(*MOODY, json!({}), &BuildContext::new(cache)).await.unwrap()
}

#[test]
fn what_the_table_has_no_function_for_is_not_declared() {
    let declared = part::backend::<MoodyConfig>().component().caps;
    for missing in [cap::BATCH, cap::POLICY, 1 << 8, 1 << 12, 1 << 13] {
        assert_eq!(declared & missing, 0, "{missing:#x}");
    }
    let kept = cap::SCAN | cap::TOUCH | cap::LEASE | cap::HEADER_READ;
    assert_eq!(declared & kept, kept);
}

/// The message of a panic, which is an error of the plugin.
fn assert_panicked<T: std::fmt::Debug>(result: Result<T>, message: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Plugin, "{error}");
    assert!(error.to_string().contains(message), "{error}");
}

#[tokio::test]
async fn a_panic_in_any_function_is_an_error_and_takes_the_instance_down() {
    let bytes = || Entry::default();
    assert_panicked(moody("p").await.get("panic").await, "not now");
    assert_panicked(moody("p").await.get("bomb").await, "without a message");
    assert_panicked(moody("p").await.get("panic later").await, "not later either");
    assert_panicked(moody("p").await.set("k", bytes()).await, "set");
    assert_panicked(moody("p").await.delete("k").await, "delete");
    assert_panicked(moody("p").await.exists("k").await, "exists");
    assert_panicked(moody("p").await.clear().await, "clear");
    assert_panicked(moody("p").await.touch("k", Deadlines::default()).await, "touch");
    assert_panicked(moody("p").await.scan(ScanRequest::all()).await, "scan");
    assert_panicked(moody("p").await.lease("k", Duration::MAX).await, "lease");
    assert_panicked(moody("p").await.fill("k", bytes(), 1).await, "fill");
    assert_panicked(moody("p").await.release("k", 1).await, "release");
    assert_panicked(moody("p").await.health().await, "health");
    assert_panicked(moody("p").await.start().await, "start");
    assert_panicked(moody("p").await.flush().await, "flush");
    let down = moody("p").await;
    assert_panicked(down.get("panic").await, "not now");
    assert_panicked(down.get("nothing").await, "in an earlier call");
}

#[tokio::test]
async fn a_panic_while_it_is_built_is_an_error() {
    let built = testing::build(*MOODY, json!({"panics": true}), &BuildContext::new("b")).await;
    assert_panicked(built, "not in the mood");
}

/// The runtime of the test has no timer, so this is the one of the library.
#[test]
fn timers_and_tasks_need_nothing_of_the_host() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let backend = moody("own runtime").await;
        for key in ["timer", "task", "tcp", "block", "thread"] {
            let found = backend.get(key).await.unwrap().expect("it is always there");
            assert_eq!(found.value, key);
        }
    });
}

#[tokio::test]
async fn an_error_comes_across_with_its_kind_and_its_hint() {
    let error = moody("error").await.get("error").await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Capacity, "no more room"));
    assert!(error.to_string().ends_with("; hint: buy a larger house"), "{error}");
}

/// Lets threads go on until something is so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let patience = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), patience).await;
    in_time.unwrap_or_else(|_| panic!("not so after a minute: {what}"));
}

#[tokio::test]
async fn who_goes_away_stops_the_work_and_the_instance_ends_with_its_last_user() {
    let backend = moody("given up").await;
    let given_up = GIVEN_UP.load(Ordering::SeqCst);
    {
        let mut get = pin!(backend.get("never"));
        let polled = get.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    }
    until("the work was stopped", || GIVEN_UP.load(Ordering::SeqCst) > given_up).await;
    let dropped = DROPPED.load(Ordering::SeqCst);
    drop(backend);
    until("the backend was dropped", || DROPPED.load(Ordering::SeqCst) > dropped).await;
}
