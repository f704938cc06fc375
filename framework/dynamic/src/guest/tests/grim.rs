//! Panics where no caller waits: in schemas and checks, at the end of an instance and of a call.

use larder_abi::Status;
use larder_abi::value::Slice;
use larder_core::{KeyPath, Problems};
use schemars::{Schema, SchemaGenerator};

use super::*;

/// A backend that panics wherever it is not asked for anything.
#[derive(Clone, Debug, Deserialize)]
struct GrimConfig;

impl JsonSchema for GrimConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Grim".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        panic_any(Bomb)
    }
}

#[derive(Debug)]
struct Grim;

/// How many instances and calls panicked when they were dropped.
static DROPPED_GRIMLY: AtomicUsize = AtomicUsize::new(0);

impl Drop for Grim {
    fn drop(&mut self) {
        DROPPED_GRIMLY.fetch_add(1, Ordering::SeqCst);
        panic_any(Bomb);
    }
}

#[async_trait]
impl PluginConfig for GrimConfig {
    const KIND: &'static str = "tested.grim";
    const SUMMARY: &'static str = "panics where nobody waits";

    type Plugin = Grim;

    fn validate(&self, _: &KeyPath) -> Result<(), Problems> {
        panic_any(Bomb)
    }

    async fn build(self, _: &BuildContext) -> Result<Grim> {
        Ok(Grim)
    }
}

#[async_trait]
impl Backend for Grim {
    fn capabilities(&self) -> Capabilities {
        Capabilities::empty()
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        if key == "never" {
            let _work = Self;
            pending().await
        }
        Ok(None)
    }

    async fn set(&self, _: &str, _: Entry) -> Result<()> {
        Ok(())
    }

    async fn delete(&self, _: &str) -> Result<bool> {
        Ok(false)
    }

    async fn clear(&self) -> Result<()> {
        Ok(())
    }

    async fn close(&self) -> Result<()> {
        panic_any(Bomb)
    }
}

#[test]
fn a_panic_in_a_schema_or_in_checks_is_a_status() {
    let part = part::backend::<GrimConfig>();
    let (schema, validate) = (part.component().config_schema, part.component().validate);
    let mut out = Slice::EMPTY;
    // SAFETY: the place is ours.
    assert_eq!(unsafe { schema.unwrap()(&raw mut out) }, Status::PANICKED);
    assert!(out.ptr.is_null());
    let options = Slice::new(b"null");
    let mut error = crate::adapt::failure::blank();
    // SAFETY: both live during the call.
    let said = unsafe { validate.unwrap()(&raw const options, &raw mut error) };
    assert_eq!(said, Status::PANICKED);
    crate::guest::reply::take_back_error(&error);
}

#[tokio::test]
async fn a_panic_at_the_end_of_a_call_or_of_an_instance_goes_no_further() {
    let mut raw = *part::backend::<GrimConfig>().component();
    raw.config_schema = None;
    let grim = testing::component(Box::leak(Box::new(raw)));
    let build = async || testing::build(grim, json!(null), &BuildContext::new("grim")).await;
    let backend = build().await.unwrap();
    assert_panicked(backend.close().await, "without a message");
    drop(backend);
    until("the instance was dropped", || DROPPED_GRIMLY.load(Ordering::SeqCst) == 1).await;

    let backend = build().await.unwrap();
    {
        let mut get = pin!(backend.get("never"));
        let polled = get.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    }
    until("the work was stopped", || DROPPED_GRIMLY.load(Ordering::SeqCst) == 2).await;
    let is_down = async {
        while backend.get("another").await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), is_down).await.expect("it is given up");
    drop(backend);
    until("the instance was dropped", || DROPPED_GRIMLY.load(Ordering::SeqCst) == 3).await;
}
