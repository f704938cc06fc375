//! The contract of a [`Wrapper`](larder_core::Wrapper), case by case.

mod cases;

pub use cases::{
    any_bytes_are_undone_or_refused, nothing_grows_beyond_what_is_allowed, the_number_stays,
    what_is_encrypted_can_be_neither_read_nor_changed, what_is_encrypted_stays_where_it_belongs,
    what_was_wrapped_comes_back,
};

/// Tests that a wrapper keeps its contract, one `#[test]` a case, in a module
/// `wrapper_conformance`.
///
/// `wrapper!(make, Compress)` takes the path of a `fn make() -> W`, where `W` is a wrapper, and
/// its [`Role`](larder_core::wrapper::Role). `wrapper!(make, Compress as name)` gives the module
/// another name, for several in one file.
#[macro_export]
macro_rules! wrapper {
    ($make:path, $role:ident) => {
        $crate::wrapper!($make, $role as wrapper_conformance);
    };
    ($make:path, $role:ident as $name:ident) => {
        mod $name {
            use super::*;

            $crate::__wrapper_cases! { $make, $role;
                any_bytes_are_undone_or_refused
                nothing_grows_beyond_what_is_allowed
                the_number_stays
                what_is_encrypted_can_be_neither_read_nor_changed
                what_is_encrypted_stays_where_it_belongs
                what_was_wrapped_comes_back
            }
        }
    };
}

/// One test a case.
#[doc(hidden)]
#[macro_export]
macro_rules! __wrapper_cases {
    ($make:path, $role:ident; $($case:ident)+) => {
        $(
            #[test]
            fn $case() {
                $crate::wrapper::$case(&$make(), $crate::wrapper::Role::$role);
            }
        )+
    };
}

#[doc(hidden)]
pub use larder_core::wrapper::Role;
