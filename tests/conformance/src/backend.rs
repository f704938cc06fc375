//! The contract of a [`Backend`], case by case.
//!
//! | module | what must hold |
//! |---|---|
//! | [`entries`] | what was set comes back, what was deleted does not |
//! | [`keys`] | no two keys are taken for each other |
//! | [`batches`] | many keys at once are as one after another |
//! | [`lives`] | entries end with their hard deadline; `touch` |
//! | [`scans`] | every key is listed |
//! | [`sharing`] | what outlives a process, and what two of them see |
//! | [`leases`] | one of many loads, and only who has the lease stores |
//! | [`versions`] | `put_if_newer` |
//! | [`tasks`] | many callers at a time, and callers that go away |
//! | [`damage`] | changed files are never read as values |
//! | [`chance`] | long random runs beside a simple model |

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use larder_core::entry::TagStamp;
use larder_core::{Backend, Bytes, Capabilities, Entry, EntryMeta, Result, Stamp, Wrappers};

use crate::Place;

pub mod batches;
pub mod chance;
pub mod damage;
pub mod entries;
pub mod keys;
pub mod leases;
pub mod lives;
pub mod scans;
pub mod sharing;
pub mod tasks;
pub mod versions;

/// Tests that a backend keeps its contract, one `#[test]` a case, in a module
/// `backend_conformance`.
///
/// `backend!(open)` takes the path of an
/// `async fn open(place: Place) -> Result<Arc<dyn Backend>>`. It is called once or more in the
/// same [`Place`] and must find there what was stored before, if the backend declares
/// [`PERSIST`](larder_core::Capabilities::PERSIST). There must be room for a thousand entries and
/// 16 MiB. `backend!(open as name)` gives the module another name, for several in one file.
#[macro_export]
macro_rules! backend {
    ($open:path) => {
        $crate::backend!($open as backend_conformance);
    };
    ($open:path as $name:ident) => {
        mod $name {
            use super::*;

            $crate::__backend_cases! { $open;
                entries::an_entry_comes_back_with_its_value_and_its_meta
                entries::clear_leaves_nothing
                entries::delete_tells_whether_there_was_an_entry
                entries::exists_and_meta_agree_with_get
                entries::the_last_set_wins
                entries::tombstones_and_negative_entries_are_entries
                entries::values_of_every_size_come_back
                entries::what_was_closed_neither_panics_nor_hangs
                entries::what_was_never_set_is_not_there
                keys::no_two_keys_are_taken_for_each_other
                keys::the_longest_key_is_a_key_like_others
                batches::answers_stand_in_the_order_of_the_keys
                batches::deleting_many_counts_what_was_there
                batches::nothing_asked_for_is_nothing_done
                lives::a_stale_entry_is_returned
                lives::an_answer_at_once_is_that_of_get
                lives::an_entry_ends_with_its_hard_deadline
                lives::an_entry_that_is_dead_on_arrival_is_never_seen
                lives::touch_does_not_wake_the_dead
                lives::touch_moves_the_deadlines_and_nothing_else
                scans::a_scan_lists_every_key_that_stays
                scans::a_scan_of_a_prefix_has_all_that_begin_with_it
                scans::a_scan_of_leases_has_the_keys_that_somebody_loads
                scans::an_empty_backend_lists_nothing
                sharing::what_one_process_cleared_no_other_sees
                sharing::what_one_process_stores_all_others_see
                sharing::what_was_cleared_stays_away_after_a_restart
                sharing::what_was_stored_is_there_after_a_restart
                leases::a_lease_ends_with_a_write_a_delete_and_its_time
                leases::a_lost_lease_fills_nothing
                leases::a_released_lease_can_be_taken_at_once
                leases::a_write_wins_over_a_fill_in_whatever_order
                leases::at_most_one_of_many_gets_the_lease
                leases::what_is_loaded_under_a_lease_is_stored_once
                versions::only_what_is_newer_is_put
                versions::the_newest_of_many_writers_stays
                tasks::a_caller_that_goes_away_leaves_a_whole_entry_or_none
                tasks::many_callers_see_whole_values_of_their_keys
                damage::changed_files_are_never_read_as_values
                damage::cut_files_are_never_read_as_values
                chance::a_long_random_run_agrees_with_a_model
            }
        }
    };
}

/// One test a case.
#[doc(hidden)]
#[macro_export]
macro_rules! __backend_cases {
    ($open:path; $($module:ident::$case:ident)+) => {
        $(
            #[test]
            fn $case() {
                $crate::backend::run(
                    $open,
                    |subject| ::std::boxed::Box::pin($crate::backend::$module::$case(subject)),
                );
            }
        )+
    };
}

type Open = dyn Fn(Place) -> BoxFuture<'static, Result<Arc<dyn Backend>>> + Send + Sync;

/// The backend of a case, which can be opened again and again.
pub struct Subject {
    open: Box<Open>,
    place: Place,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Subject {
    /// Opens the backend and starts it.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub async fn open(&self) -> Arc<dyn Backend> {
        self.try_open().await.expect("the backend can be opened and started")
    }

    pub(crate) async fn try_open(&self) -> Result<Arc<dyn Backend>> {
        let backend = (self.open)(self.place.clone()).await?;
        backend.start().await?;
        Ok(backend)
    }

    /// Where it is opened.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Moves the time.
    pub(crate) fn advance(&self, duration: Duration) {
        self.place.clock().advance(duration);
    }

    /// An entry with every field of its meta set, which lives for ten minutes and is stale after
    /// five.
    pub(crate) fn full_entry(&self, value: &[u8]) -> Entry {
        let now = larder_core::Clock::wall(self.place.clock());
        let mut entry = entry(value);
        entry.meta.stamp = Stamp { time: now, origin: 0xdead_beef };
        entry.meta.soft_deadline = Some(now.after(Duration::from_secs(300)));
        entry.meta.hard_deadline = Some(now.after(LIFE));
        entry.meta.load_cost = Duration::from_micros(1234);
        entry.meta.tags =
            vec![TagStamp { tag: 1, version: u64::MAX }, TagStamp { tag: u64::MAX, version: 0 }];
        entry.meta.epoch = 9;
        entry.meta.format = 0x8001;
        entry.meta.wrappers = Wrappers::new(&[2, 5]).expect("two are few enough");
        entry
    }
}

/// How long a full entry lives.
pub(crate) const LIFE: Duration = Duration::from_secs(600);

/// An entry without deadlines.
pub(crate) fn entry(value: &[u8]) -> Entry {
    Entry { value: Bytes::copy_from_slice(value), meta: EntryMeta::default() }
}

/// An entry that lost its tags on the way, if the backend does not keep them.
pub(crate) fn as_kept(backend: &dyn Backend, mut entry: Entry) -> Entry {
    if !backend.capabilities().contains(Capabilities::TAGS) {
        entry.meta.tags.clear();
    }
    entry
}

/// Runs one case in a place of its own, on a runtime with two threads.
///
/// # Panics
///
/// When the backend does not keep the contract.
pub fn run<O, F>(open: O, case: impl FnOnce(&Subject) -> BoxFuture<'_, ()>)
where
    O: Fn(Place) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Arc<dyn Backend>>> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    let open: Box<Open> = Box::new(move |place| Box::pin(open(place)));
    let subject = Subject { open, place: Place::new() };
    runtime.block_on(case(&subject));
}

#[cfg(test)]
mod tests {
    /// A case that no test runs would be a contract that nobody proves.
    #[test]
    fn every_case_is_in_the_list() {
        let list = include_str!("backend.rs");
        let modules = [
            ("batches", include_str!("backend/batches.rs")),
            ("chance", include_str!("backend/chance.rs")),
            ("damage", include_str!("backend/damage.rs")),
            ("entries", include_str!("backend/entries.rs")),
            ("keys", include_str!("backend/keys.rs")),
            ("leases", include_str!("backend/leases.rs")),
            ("lives", include_str!("backend/lives.rs")),
            ("scans", include_str!("backend/scans.rs")),
            ("sharing", include_str!("backend/sharing.rs")),
            ("tasks", include_str!("backend/tasks.rs")),
            ("versions", include_str!("backend/versions.rs")),
        ];
        for (module, text) in modules {
            for line in text.lines().filter_map(|line| line.strip_prefix("pub async fn ")) {
                let case = line.split('(').next().unwrap_or_default();
                assert!(list.contains(&format!(" {module}::{case}\n")), "{module}::{case}");
            }
        }
    }
}
