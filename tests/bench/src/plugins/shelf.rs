//! A table in memory as a backend in Rust: linked into the benchmark, and in a library.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use larder_core::backend::Loan;
use larder_core::{Backend, Capabilities, Entry, Result};

/// A table behind one lock, as the one in C.
#[derive(Debug, Default)]
pub(crate) struct Shelf(Mutex<HashMap<String, Entry>>);

impl Shelf {
    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Backend for Shelf {
    fn capabilities(&self) -> Capabilities {
        Capabilities::empty()
    }

    fn get_now(&self, key: &str) -> Option<Result<Option<Loan>>> {
        Some(Ok(self.entries().get(key).cloned().map(Loan::from)))
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        Ok(self.entries().get(key).cloned())
    }

    async fn set(&self, key: &str, entry: Entry) -> Result<()> {
        self.entries().insert(key.to_owned(), entry);
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        Ok(self.entries().remove(key).is_some())
    }

    async fn clear(&self) -> Result<()> {
        self.entries().clear();
        Ok(())
    }
}
