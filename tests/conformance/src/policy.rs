//! The contract of a [`Policy`](larder_core::Policy), case by case.

use larder_core::policy::Capacity;

mod cases;
mod shard;

pub use cases::{
    a_policy_takes_any_capacity, a_policy_that_was_emptied_starts_again,
    it_finds_a_victim_unless_all_are_pinned, naming_a_victim_removes_nothing, old_hits_do_no_harm,
    the_books_agree_with_the_shard, the_hit_mode_stays, the_same_seed_names_the_same_victims,
    the_work_does_not_grow_with_the_shard, there_are_few_candidates,
};

/// Tests that a policy keeps its contract, one `#[test]` a case, in a module
/// `policy_conformance`.
///
/// `policy!(factory)` takes the path of a `fn factory() -> Arc<dyn PolicyFactory>`, which
/// [`PolicyConfig::into_factory`](larder_core::PolicyConfig::into_factory) makes of the options.
/// `policy!(factory as name)` gives the module another name, for several in one file.
#[macro_export]
macro_rules! policy {
    ($factory:path) => {
        $crate::policy!($factory as policy_conformance);
    };
    ($factory:path as $name:ident) => {
        mod $name {
            use super::*;

            $crate::__policy_cases! { $factory;
                a_policy_takes_any_capacity
                a_policy_that_was_emptied_starts_again
                it_finds_a_victim_unless_all_are_pinned
                naming_a_victim_removes_nothing
                old_hits_do_no_harm
                the_books_agree_with_the_shard
                the_hit_mode_stays
                the_same_seed_names_the_same_victims
                the_work_does_not_grow_with_the_shard
                there_are_few_candidates
            }
        }
    };
}

/// One test a case.
#[doc(hidden)]
#[macro_export]
macro_rules! __policy_cases {
    ($factory:path; $($case:ident)+) => {
        $(
            #[test]
            fn $case() {
                $crate::policy::$case(&*$factory());
            }
        )+
    };
}

/// Room for so many entries, whatever they weigh.
const fn entries(entries: u64) -> Capacity {
    Capacity { entries: Some(entries), weight: None }
}
