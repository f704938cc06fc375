//! What plugins in processes of their own say is heard. A program of its own, for it listens to all
//! that is said in it.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "support/mod.rs"]
#[expect(dead_code, reason = "other programs of tests use the rest of it")]
mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder_core::BuildContext;
use serde_json::json;

/// How long a test waits for what must come.
const LIMIT: Duration = Duration::from_secs(60);

/// Keeps all that is said, as text.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_a_plugin_writes_is_in_the_log_with_its_name() {
    let heard = Heard::default();
    let writer = heard.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    let library = support::poisonous("talking");
    let backend = library.open(json!({}), &BuildContext::new("talk")).await;
    backend.get("talk").await.unwrap();
    let says = |line: &str, facts: &[&str]| {
        let text = String::from_utf8_lossy(&heard.0.lock().unwrap()).into_owned();
        text.lines().any(|one| one.contains(line) && facts.iter().all(|fact| one.contains(fact)))
    };
    let plugin = "plugin=\"talking\"";
    larder_servers::until("both are heard", LIMIT, async || {
        says("said on standard output", &[plugin]) && says("said on standard error", &[plugin])
    })
    .await;
    drop(backend.get("abort").await);
    larder_servers::until("it comes back", LIMIT, async || backend.get("x").await.is_ok()).await;
    let of = [plugin, "component=\"acme.talking\"", "cache=\"talk\""];
    larder_servers::until("the end and the start are heard", LIMIT, async || {
        says("plugin.down", &of) && says("plugin.down", &["SIGABRT"]) && says("plugin.up", &of)
    })
    .await;
    drop(backend.get("abort").await);
    // Whoever comes starts the process, in which the first one is made when it is used.
    let _second = library.open(json!({}), &BuildContext::new("second")).await;
    larder_servers::until("it comes back", LIMIT, async || backend.get("x").await.is_ok()).await;
    larder_servers::until("its second start is heard", LIMIT, async || {
        let text = String::from_utf8_lossy(&heard.0.lock().unwrap()).into_owned();
        let is_up = |line: &&str| line.contains("plugin.up") && line.contains("cache=\"talk\"");
        text.lines().filter(is_up).count() == 2
    })
    .await;
}
