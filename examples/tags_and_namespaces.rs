//! How do I get rid of many entries at once?
//!
//! With a tag, when the entries have something in common; with a namespace, when they belong to
//! somebody; with a pattern, when only their keys tell. Tags and namespaces take the same time
//! however many entries there are; a pattern goes through all keys.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use larder::{Cache, CacheManager, Format, SetOptions};

const CONFIG: &str = r#"
    [caches.pages]
    ttl = "10m"
    backend = { kind = "memory", capacity = 10_000 }
"#;

#[tokio::main(flavor = "current_thread")]
async fn main() -> larder::Result<()> {
    let caches = CacheManager::from_str(Format::Toml, CONFIG).await?;
    let pages = caches.cache::<String, String>("pages")?;
    tags(&pages).await?;
    namespaces(&pages).await?;
    patterns(&pages).await
}

/// A page shows several products. When one of them changes, all pages that show it are wrong.
async fn tags(pages: &Cache<String, String>) -> larder::Result<()> {
    let shows = |products: &[&str]| SetOptions::new().tags(products.iter().copied());
    pages.set_with("home", "apples, pears".into(), &shows(&["apple", "pear"])).await?;
    pages.set_with("offers", "pears".into(), &shows(&["pear"])).await?;
    pages.invalidate_tag("apple").await?;
    println!("after a change of apples: home {:?}", pages.lookup("home").await?);
    println!("                          offers {:?}", pages.lookup("offers").await?);
    Ok(())
}

/// Each tenant has entries of its own, and may clear them without asking the others.
async fn namespaces(pages: &Cache<String, String>) -> larder::Result<()> {
    let (blue, red) = (pages.namespace("blue")?, pages.namespace("red")?);
    blue.set("home", "blue home".into()).await?;
    blue.namespace("drafts")?.set("home", "blue draft".into()).await?;
    red.set("home", "red home".into()).await?;
    blue.clear().await?;
    println!("after blue cleared: blue {:?}", blue.get("home").await?);
    println!("                    blue drafts {:?}", blue.namespace("drafts")?.get("home").await?);
    println!("                    red {:?}", red.get("home").await?);
    println!("blue counts for itself: {:?}", blue.stats());
    Ok(())
}

/// Nobody thought of tags when these were stored.
async fn patterns(pages: &Cache<String, String>) -> larder::Result<()> {
    for key in ["2024/a", "2024/b", "2025/a"] {
        pages.set(key, key.to_uppercase()).await?;
    }
    println!("removed by pattern: {}", pages.delete_pattern("2024/*").await?);
    println!("still there: {:?}", pages.get("2025/a").await?);
    Ok(())
}
