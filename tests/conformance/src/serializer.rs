//! The contract of a [`Serializer`](larder_core::Serializer), case by case.

mod cases;
mod values;

pub use cases::{
    bombs_are_refused, both_ways_keep_no_state, bytes_that_are_left_over_are_refused,
    cut_bytes_are_refused, output_is_appended, random_bytes_never_panic, the_format_stays,
    values_of_every_shape_come_back, what_comes_back_is_what_went_in,
};

/// What a serializer is made to carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Carries {
    /// Every value that serde can describe.
    All,
    /// Bytes as they are: any bytes are a value.
    Bytes,
    /// Text as it is: any UTF-8 is a value.
    Text,
}

/// Tests that a serializer keeps its contract, one `#[test]` a case, in a module
/// `serializer_conformance`.
///
/// `serializer!(make)` takes the path of a `fn make() -> S`, where `S` is a serializer that
/// carries all that serde can describe. `serializer!(make, Bytes)` and `serializer!(make, Text)`
/// are for those that [carry](Carries) less; `serializer!(make, All as name)` gives the module
/// another name, for several in one file.
#[macro_export]
macro_rules! serializer {
    ($make:path) => {
        $crate::serializer!($make, All as serializer_conformance);
    };
    ($make:path, $carries:ident) => {
        $crate::serializer!($make, $carries as serializer_conformance);
    };
    ($make:path, $carries:ident as $name:ident) => {
        mod $name {
            use super::*;

            $crate::__serializer_cases! { $make, $carries;
                bombs_are_refused
                both_ways_keep_no_state
                bytes_that_are_left_over_are_refused
                cut_bytes_are_refused
                output_is_appended
                random_bytes_never_panic
                the_format_stays
                values_of_every_shape_come_back
                what_comes_back_is_what_went_in
            }
        }
    };
}

/// One test a case.
#[doc(hidden)]
#[macro_export]
macro_rules! __serializer_cases {
    ($make:path, $carries:ident; $($case:ident)+) => {
        $(
            #[test]
            fn $case() {
                $crate::serializer::$case(&$make(), $crate::serializer::Carries::$carries);
            }
        )+
    };
}
