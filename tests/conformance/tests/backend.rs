//! The cases pass with a backend that can do everything, and each fault is found by a case.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

mod notebook;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use larder_conformance::Place;
use larder_conformance::backend;
use larder_core::{Backend, Result};
use notebook::{Fault, Notebook};

async fn sound(place: Place) -> Result<Arc<dyn Backend>> {
    Ok(Arc::new(Notebook::open(&place, Fault::None)))
}

async fn plain(place: Place) -> Result<Arc<dyn Backend>> {
    Ok(Arc::new(Notebook::plain(&place)))
}

larder_conformance::backend!(sound as a_sound_backend);
larder_conformance::backend!(plain as a_backend_that_can_do_little);

/// Whether a case finds a fault.
macro_rules! finds {
    ($fault:ident: $module:ident::$case:ident) => {{
        let open = |place: Place| async move {
            Ok(Arc::new(Notebook::open(&place, Fault::$fault)) as Arc<dyn Backend>)
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            backend::run(open, |subject| Box::pin(backend::$module::$case(subject)));
        }));
        assert!(outcome.is_err(), "{} does not find {:?}", stringify!($case), Fault::$fault);
    }};
}

#[test]
fn every_fault_is_found() {
    finds!(AnswersTooSoon: lives::an_answer_at_once_is_that_of_get);
    finds!(LosesTags: entries::an_entry_comes_back_with_its_value_and_its_meta);
    finds!(LosesTags: chance::a_long_random_run_agrees_with_a_model);
    finds!(KeepsTheFirst: entries::the_last_set_wins);
    finds!(CutsLargeValues: entries::values_of_every_size_come_back);
    finds!(DropsTombstones: entries::tombstones_and_negative_entries_are_entries);
    finds!(DeletesTwice: entries::delete_tells_whether_there_was_an_entry);
    finds!(DeletesTwice: batches::deleting_many_counts_what_was_there);
    finds!(ClearsHalf: entries::clear_leaves_nothing);
    finds!(ClearsHalf: sharing::what_one_process_cleared_no_other_sees);
    finds!(ClearsHalf: sharing::what_was_cleared_stays_away_after_a_restart);
    finds!(FoldsCase: keys::no_two_keys_are_taken_for_each_other);
    finds!(CutsLongKeys: keys::the_longest_key_is_a_key_like_others);
    finds!(SortsBatches: batches::answers_stand_in_the_order_of_the_keys);
    finds!(KeepsTheDead: lives::an_entry_ends_with_its_hard_deadline);
    finds!(KeepsTheDead: lives::an_entry_that_is_dead_on_arrival_is_never_seen);
    finds!(HidesTheStale: lives::a_stale_entry_is_returned);
    finds!(WakesTheDead: lives::touch_does_not_wake_the_dead);
    finds!(TouchesStamps: lives::touch_moves_the_deadlines_and_nothing_else);
    finds!(SkipsAPage: scans::a_scan_lists_every_key_that_stays);
    finds!(SkipsAPage: scans::a_scan_of_a_prefix_has_all_that_begin_with_it);
    finds!(HidesLeases: scans::a_scan_of_leases_has_the_keys_that_somebody_loads);
    finds!(ListsGhosts: scans::an_empty_backend_lists_nothing);
    finds!(Forgets: sharing::what_was_stored_is_there_after_a_restart);
    finds!(Forgets: sharing::what_one_process_stores_all_others_see);
    finds!(PutsTheEqual: versions::only_what_is_newer_is_put);
    finds!(PutsTheOlder: versions::the_newest_of_many_writers_stays);
    finds!(LeasesTwice: leases::at_most_one_of_many_gets_the_lease);
    finds!(LeasesForEver: leases::a_lease_ends_with_a_write_a_delete_and_its_time);
    finds!(LeasesForEver: leases::a_write_wins_over_a_fill_in_whatever_order);
    finds!(ClearKeepsLeases: leases::a_lease_ends_with_a_write_a_delete_and_its_time);
    finds!(ClearKeepsLeases: leases::a_lost_lease_fills_nothing);
    finds!(FillsAnyway: leases::a_lost_lease_fills_nothing);
    finds!(FillsAnyway: leases::what_is_loaded_under_a_lease_is_stored_once);
    finds!(FillsLate: leases::a_lost_lease_fills_nothing);
    finds!(ReleasesForAll: leases::a_released_lease_can_be_taken_at_once);
    finds!(ReleasesNothing: leases::a_released_lease_can_be_taken_at_once);
    finds!(WritesInParts: tasks::a_caller_that_goes_away_leaves_a_whole_entry_or_none);
    finds!(WritesInParts: tasks::many_callers_see_whole_values_of_their_keys);
    finds!(TrustsFiles: damage::changed_files_are_never_read_as_values);
    finds!(TrustsFiles: damage::cut_files_are_never_read_as_values);
    finds!(PanicsWhenClosed: entries::what_was_closed_neither_panics_nor_hangs);
    finds!(FoldsCase: chance::a_long_random_run_agrees_with_a_model);
}
