//! What happens when many want the same, when the loader fails, and when the world changes
//! meanwhile?
//!
//! One load for all; an error for all who waited, a panic included, and nothing remembered; and a
//! value that was read before a delete is not stored after it.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use larder::{Cache, CacheManager, Format};
use tokio::sync::Notify;

const CONFIG: &str = r#"
    [caches.prices]
    ttl = "10m"
    backend = { kind = "memory", capacity = 1_000 }
"#;

#[tokio::main(flavor = "current_thread")]
async fn main() -> larder::Result<()> {
    // The panic below is meant; its message would only hide what this program shows.
    std::panic::set_hook(Box::new(|_| {}));
    let caches = CacheManager::from_str(Format::Toml, CONFIG).await?;
    let prices = caches.cache::<String, u64>("prices")?;
    one_load_for_all(&prices).await?;
    a_panic_is_an_error(&prices).await?;
    a_delete_wins_over_a_load(&prices).await
}

async fn one_load_for_all(prices: &Cache<String, u64>) -> larder::Result<()> {
    let loads = Arc::new(AtomicUsize::new(0));
    let callers = (0..100).map(|_| {
        let loads = Arc::clone(&loads);
        prices.get_or_load("apple", || async move {
            loads.fetch_add(1, Ordering::Relaxed);
            // As long as a database takes: everybody else arrives meanwhile.
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(120)
        })
    });
    let answers: Vec<u64> = join_all(callers).await.into_iter().collect::<larder::Result<_>>()?;
    let right = answers.iter().filter(|answer| **answer == 120).count();
    println!("{right} callers were answered by {} load", loads.load(Ordering::Relaxed));
    Ok(())
}

async fn a_panic_is_an_error(prices: &Cache<String, u64>) -> larder::Result<()> {
    let broken =
        prices.get_or_load("pear", || async { Ok::<_, Infallible>(list_price("pear")) }).await;
    if let Err(error) = broken {
        println!("the caller of a loader that panics gets: {error}");
    }
    let next = prices.get_or_load("pear", || async { Ok::<_, Infallible>(90) }).await?;
    println!("the next caller loads again and gets {next}");
    Ok(())
}

/// Code of somebody else, with a mistake in it.
fn list_price(fruit: &str) -> u64 {
    match fruit {
        "apple" => 120,
        other => panic!("nobody thought of a {other}"),
    }
}

async fn a_delete_wins_over_a_load(prices: &Cache<String, u64>) -> larder::Result<()> {
    let (has_read, may_go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (reads, goes_on) = (Arc::clone(&has_read), Arc::clone(&may_go_on));
    let load = prices.get_or_load("plum", || async move {
        let old_price = 50;
        reads.notify_one();
        goes_on.notified().await;
        Ok::<_, Infallible>(old_price)
    });
    let change = async {
        has_read.notified().await;
        // The price changes in the database, so whoever changed it deletes the entry.
        let deleted = prices.delete("plum").await;
        may_go_on.notify_one();
        deleted
    };
    let (loaded, deleted) = tokio::join!(load, change);
    deleted?;
    println!("the caller gets what was true when it asked: {}", loaded?);
    println!("but it was not stored: {:?}", prices.get("plum").await?);
    println!("loads that came too late: {}", prices.stats().snapshot().fenced);
    Ok(())
}
