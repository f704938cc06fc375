//! Reads that a plugin in Rust answers without a future.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use larder_conformance::{Place, backend};
use larder_core::backend::{Loan, ScanPage};

use super::*;

/// A table in memory.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TableConfig {}

#[derive(Debug)]
struct Table {
    entries: Mutex<HashMap<String, Entry>>,
    clock: Arc<dyn larder_core::Clock>,
}

impl Table {
    fn with<T>(&self, look: impl FnOnce(&mut HashMap<String, Entry>) -> T) -> T {
        look(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn living(&self, key: &str) -> Option<Entry> {
        let now = self.clock.wall();
        self.with(|entries| entries.get(key).filter(|entry| !entry.meta.is_dead(now)).cloned())
    }
}

#[async_trait]
impl PluginConfig for TableConfig {
    const KIND: &'static str = "tested.table";
    const SUMMARY: &'static str = "keeps entries in memory";
    const CAPABILITIES: Capabilities = Capabilities::TAGS.union(Capabilities::SCAN);

    type Plugin = Table;

    async fn build(self, context: &BuildContext) -> Result<Table> {
        Ok(Table { entries: Mutex::default(), clock: Arc::clone(&context.clock) })
    }
}

#[async_trait]
impl Backend for Table {
    fn capabilities(&self) -> Capabilities {
        TableConfig::CAPABILITIES
    }

    fn get_now(&self, key: &str) -> Option<Result<Option<Loan>>> {
        assert!(key != "panic", "not now");
        if key == "error" {
            return Some(Err(CacheError::new(ErrorKind::Connection, "there is nobody")));
        }
        (key != "not at hand").then(|| Ok(self.living(key).map(Loan::from)))
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        Ok(self.living(key))
    }

    async fn set(&self, key: &str, entry: Entry) -> Result<()> {
        self.with(|entries| entries.insert(key.to_owned(), entry));
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        let was_there = self.living(key).is_some();
        self.with(|entries| entries.remove(key));
        Ok(was_there)
    }

    async fn clear(&self) -> Result<()> {
        self.with(HashMap::clear);
        Ok(())
    }

    async fn scan(&self, request: ScanRequest) -> Result<ScanPage> {
        let now = self.clock.wall();
        let mut keys = self.with(|entries| {
            let living = entries.iter().filter(|(_, entry)| !entry.meta.is_dead(now));
            living.map(|(key, _)| key.clone()).collect::<Vec<String>>()
        });
        keys.retain(|key| key.starts_with(&request.prefix));
        Ok(ScanPage { keys, next: None })
    }
}

static TABLE: LazyLock<&Component> =
    LazyLock::new(|| testing::component(part::sync_backend::<TableConfig>().component()));

async fn table(place: Place) -> Result<Arc<dyn Backend>> {
    testing::build(*TABLE, json!({}), &place.context()).await
}

backend!(table as a_table_in_rust_keeps_the_contract);

async fn table_of(cache: &str) -> Arc<dyn Backend> {
    let built = testing::build(*TABLE, json!({}), &BuildContext::new(cache)).await.unwrap();
    let entry = Entry { value: vec![7; 64].into(), ..Entry::default() };
    for key in ["there", "not at hand"] {
        built.set(key, entry.clone()).await.unwrap();
    }
    built.set("long", Entry { value: vec![8; 9_000].into(), ..entry }).await.unwrap();
    built
}

#[tokio::test]
async fn a_table_in_rust_answers_reads_at_once() {
    let backend = table_of("at once").await;
    let read = |key| backend.get_now(key).expect("it answers at once");
    for (key, value) in
        [("there", vec![7; 64]), ("not at hand", vec![7; 64]), ("long", vec![8; 9_000])]
    {
        let loan = read(key).unwrap().expect("it was stored");
        assert_eq!(loan.value(), value);
    }
    assert!(read("not there").unwrap().is_none());
    assert_eq!(read("error").unwrap_err().kind(), ErrorKind::Connection);
    assert_panicked(read("panic"), "not now");
    assert_panicked(read("there"), "in an earlier call");
}

/// Of the host and of the plugin, but for the copy of the entry that this table makes.
#[tokio::test]
async fn an_answer_at_once_takes_no_memory() {
    let backend = table_of("allocations").await;
    let allocations = |key: &str| {
        let counted = allocation_counter::measure(|| {
            let found = backend.get_now(key).expect("it answers at once").unwrap();
            assert_eq!(found.is_some(), key == "there");
        });
        counted.count_total
    };
    // The first call of a thread makes its buffers.
    allocations("there");
    assert_eq!(allocations("not there"), 0);
    assert_eq!(allocations("there"), 0);
}

#[tokio::test]
async fn who_does_not_promise_to_answer_at_once_is_asked_for_a_future() {
    let component = testing::component(part::backend::<TableConfig>().component());
    let built = testing::build(component, json!({}), &BuildContext::new("later")).await.unwrap();
    built.set("there", Entry::default()).await.unwrap();
    assert!(built.get_now("there").is_none());
    assert!(built.get("there").await.unwrap().is_some());
    assert_eq!(built.get("error").await.unwrap_err().kind(), ErrorKind::Connection);
}
