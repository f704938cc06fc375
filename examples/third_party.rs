//! How do I use plugins that do not come with Larder?
//!
//! Depend on their crate and name it once in the program. From there on a config may use them
//! like any other; see `third-party.toml`. How they are written: `plugins/acme-cache`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

// A crate that nobody names is not linked, and then its plugins are not there.
use acme_cache as _;
use larder::CacheManager;

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/third-party.toml");

#[tokio::main(flavor = "current_thread")]
async fn main() -> larder::Result<()> {
    let caches = CacheManager::from_file(CONFIG).await?;
    for plugin in caches.registry().iter().filter(|plugin| plugin.descriptor.origin == "acme-cache")
    {
        let descriptor = plugin.descriptor;
        println!("{} `{}`: {}", descriptor.slot, descriptor.kind, descriptor.summary);
    }

    let pages = caches.cache::<String, String>("pages")?;
    match pages.get("home").await? {
        Some(page) => println!("an earlier run left {page:?} in the log"),
        None => println!("no earlier run left anything"),
    }
    pages.set("home", "welcome".to_owned()).await?;
    caches.close().await
}
