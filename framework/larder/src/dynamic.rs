//! [`get_cache`], for programs that want a cache by name and nothing else.

use std::path::PathBuf;

use larder_core::{CacheError, ErrorKind, Result};
use tokio::sync::OnceCell;

use crate::cache::Cache;
use crate::manager::CacheManager;

/// A cache with texts as keys and any JSON value as values.
pub type DynamicCache = Cache<String, serde_json::Value>;

/// The manager behind [`get_cache`].
static DEFAULT: OnceCell<CacheManager> = OnceCell::const_new();

/// The manager that [`get_cache`] uses: the caches of the file that the variable `LARDER_CONFIG`
/// names, or none.
///
/// # Errors
///
/// As [`CacheManager::from_file`]; the next call tries again.
///
/// # Cancellation
///
/// Dropping the future leaves nothing running.
pub async fn default_manager() -> Result<&'static CacheManager> {
    DEFAULT
        .get_or_try_init(|| async {
            match std::env::var_os("LARDER_CONFIG") {
                Some(path) => CacheManager::from_file(PathBuf::from(path)).await,
                None => CacheManager::builder().build().await,
            }
        })
        .await
}

/// The cache of this name, made with this backend if it is not there yet, process-wide.
///
/// A cache that the file in `LARDER_CONFIG` declares is used as declared, if its first tier has
/// this backend. Any other is made with the defaults of the backend; `file` keeps its entries
/// below the cache directory of the user (`$XDG_CACHE_HOME`, or `$HOME/.cache`), in
/// `larder/<name>`. Programs that care declare their caches in a file and use [`CacheManager`].
///
/// ```
/// # async fn example() -> larder::Result<()> {
/// let users = larder::get_cache("users", "memory").await?;
/// users.set("42", serde_json::json!({ "name": "Ada" })).await?;
/// assert!(users.exists("42").await?);
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
///
/// # Errors
///
/// [`ErrorKind::Config`] when the backend is unknown or needs options, or the cache exists with
/// another one; [`ErrorKind::TypeMismatch`] when it was opened with other types.
///
/// # Cancellation
///
/// Dropping the future leaves the cache made or not.
pub async fn get_cache(name: &str, backend: &str) -> Result<DynamicCache> {
    let manager = default_manager().await?;
    if !manager.has(name) {
        manager.add(name, &text(name, backend)?).await?;
    }
    match manager.first_backend(name) {
        Some(found) if found != backend => {
            Err(CacheError::new(ErrorKind::Config, "the cache has another backend")
                .with("cache", name)
                .with("backend", found)
                .with("asked_for", backend))
        }
        _ => manager.dynamic(name),
    }
}

/// The config of a cache that nobody declared.
fn text(name: &str, backend: &str) -> Result<String> {
    let mut options = serde_json::Map::new();
    options.insert("kind".into(), backend.into());
    if backend == "file" {
        options.insert("dir".into(), user_directory(name)?.into());
    }
    Ok(serde_json::json!({ "caches": { name: { "backend": options } } }).to_string())
}

fn user_directory(name: &str) -> Result<String> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .filter(|base| !base.is_empty())
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let base = base.filter(|_| !name.is_empty() && name.chars().all(plain));
    let Some(base) = base else {
        return Err(CacheError::new(ErrorKind::Config, "there is no directory for the cache")
            .with("cache", name)
            .hint("declare it in a config file with `dir`, and set `LARDER_CONFIG`"));
    };
    let directory = base.join("larder").join(name);
    directory.into_os_string().into_string().map_err(|_| {
        CacheError::new(ErrorKind::Config, "the cache directory of the user is not UTF-8")
    })
}
