//! A check of options that does not return.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use larder_abi::Status;
use larder_abi::call::Error;
use larder_abi::value::Slice;

use crate::adapt::source::validated;

static MAY_RETURN: AtomicBool = AtomicBool::new(false);

/// Returns when it may.
unsafe extern "C" fn hangs(_: *const Slice, _: *mut Error) -> Status {
    while !MAY_RETURN.load(Ordering::Acquire) {
        std::thread::yield_now();
    }
    Status::OK
}

#[test]
fn a_check_of_options_that_does_not_return_is_given_up() {
    let failure = validated(hangs, "{}".to_owned(), Duration::from_millis(20)).unwrap_err();
    assert_eq!(failure.message, "the plugin did not check its options within `20ms`");
    MAY_RETURN.store(true, Ordering::Release);
    validated(hangs, "{}".to_owned(), Duration::from_secs(60)).unwrap();
}
