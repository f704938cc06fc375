//! Can I use it without a runtime?
//!
//! Yes: `blocking()` has the same calls, made to wait. Loads are still shared: of several threads
//! that want the same key one loads and the others get its value.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use larder::{CacheManager, Format};

const CONFIG: &str = r#"
    [caches.primes]
    ttl = "1h"
    backend = { kind = "memory", capacity = 1_000 }
"#;

/// How often the slow function ran.
static LOADS: AtomicUsize = AtomicUsize::new(0);

fn nth_prime(n: u32) -> Result<u64, String> {
    LOADS.fetch_add(1, Ordering::Relaxed);
    let index = n.checked_sub(1).ok_or("there is no prime before the first")?;
    let is_prime = |n: &u64| (2..*n).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    (2..).filter(is_prime).nth(index as usize).ok_or_else(|| "there is none".to_owned())
}

fn main() -> larder::Result<()> {
    let caches = CacheManager::builder().text("primes", Format::Toml, CONFIG).build_blocking()?;
    let primes = caches.cache::<u32, u64>("primes")?.blocking();

    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| primes.get_or_load(&5_000, || nth_prime(5_000)));
        }
    });
    println!("the 5000th prime is {:?}", primes.get(&5_000)?);
    println!("8 threads asked, {} computed it", LOADS.load(Ordering::Relaxed));

    let failed = primes.get_or_load(&0, || nth_prime(0));
    println!("a failed load is an error and is not remembered: {:?}", failed.map_err(|e| e.kind()));
    println!("there is an entry of the failed load: {}", primes.exists(&0)?);
    Ok(())
}
