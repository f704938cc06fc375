//! What is the least I have to write?
//!
//! A name and a backend. `get_cache` gives out the same cache to every part of the program that
//! asks for the name; keys are texts and values are JSON. Once it matters what a cache is made
//! of, declare it in a file: with `LARDER_CONFIG=caches.toml` the same calls use that.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use larder::get_cache;
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> larder::Result<()> {
    let users = get_cache("users", "memory").await?;
    users.set("42", json!({ "name": "Ada", "langs": ["en", "fr"] })).await?;

    let same = get_cache("users", "memory").await?;
    let user = same.get("42").await?.unwrap_or_default();
    println!("another part of the program sees {}", user["name"]);

    let other = get_cache("users", "file").await.map_err(|error| error.kind());
    println!("one name is one cache, so another backend is an error: {:?}", other.err());

    println!("deleted: {}, and again: {}", users.delete("42").await?, users.delete("42").await?);
    Ok(())
}
