//! How do several processes share a cache, and what becomes of it while Redis is away?
//!
//! The page of a shop with the prices of its products, as each of its servers makes it. The first
//! process asks the database and leaves the products at Redis; those after it ask nobody. When
//! something on a shelf changes, whoever changed it says so with a tag, and all processes load that
//! shelf again. Without Redis the page is there all the same: each process is on its own.
//!
//! ```text
//! cargo run -p larder-examples --example shop                     # twice
//! cargo run -p larder-examples --example shop -- changed fruit
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use larder::{Cache, CacheManager, LoadOptions, Loaded};
use serde::{Deserialize, Serialize};

/// What the page shows of a product.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Product {
    name: String,
    shelf: String,
    cents: u32,
}

/// Stands for the database, which is slow, far away, and better left alone.
#[derive(Debug, Default)]
struct Database {
    questions: AtomicUsize,
}

impl Database {
    fn product(&self, id: u32) -> io::Result<Option<Product>> {
        self.questions.fetch_add(1, Ordering::Relaxed);
        let (name, shelf, cents) = match id {
            1 => ("apples", "fruit", 120),
            2 => ("pears", "fruit", 95),
            3 => ("bread", "bakery", 340),
            _ => return Ok(None),
        };
        Ok(Some(Product { name: name.to_owned(), shelf: shelf.to_owned(), cents }))
    }
}

/// One server of the shop.
#[derive(Debug)]
struct Shop {
    products: Cache<u32, Product>,
    database: Arc<Database>,
}

impl Shop {
    /// The product with this number. That there is none is remembered as well.
    async fn product(&self, id: u32) -> larder::Result<Option<Product>> {
        let database = Arc::clone(&self.database);
        let load = move |_| async move {
            let Some(product) = database.product(id)? else { return Ok(Loaded::none()) };
            // Only now it is known where it stands.
            let shelf = format!("shelf:{}", product.shelf);
            Ok::<_, io::Error>(Loaded::new(product).tag(shelf))
        };
        self.products.get_or_load_with_context(&id, LoadOptions::new(), load).await
    }

    async fn page(&self) -> larder::Result<()> {
        for id in 1..=4 {
            match self.product(id).await? {
                Some(Product { name, cents, .. }) => {
                    println!("{name:7} {}.{:02}", cents / 100, cents % 100);
                }
                None => println!("there is no product {id}"),
            }
        }
        println!("questions to the database: {}", self.database.questions.load(Ordering::Relaxed));
        Ok(())
    }
}

#[tokio::main]
async fn main() -> larder::Result<()> {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("caches-redis.toml");
    let caches = CacheManager::from_file(config).await?;
    let shop = Shop { products: caches.cache("products")?, database: Arc::default() };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [command, shelf] if command == "changed" => {
            shop.products.invalidate_tag(&format!("shelf:{shelf}")).await?;
            println!("everything on the shelf `{shelf}` is loaded again");
        }
        _ => shop.page().await?,
    }
    match caches.health("products").await {
        Ok(_) => println!("shared with all processes over Redis"),
        Err(error) => println!("on its own: {}", error.message()),
    }
    caches.close().await
}
