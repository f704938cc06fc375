//! [`guard`], which no panic passes: around every function that the other side calls.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a panic said when it said nothing that is text.
const SILENT: &str = "a panic without a message";

/// Runs a function. A panic becomes what it said.
///
/// # Errors
///
/// The message of the panic.
pub(crate) fn guard<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(message_of)
}

/// What a panic said. Its payload may panic when it is dropped, and so may what that one throws:
/// the second one is not dropped at all.
fn message_of(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
    text.unwrap_or_else(|| SILENT.to_owned())
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic_any(Self);
        }
    }

    #[test]
    fn a_panic_becomes_its_message() {
        assert_eq!(guard(|| 7), Ok(7));
        assert_eq!(guard(|| panic!("stop")), Err::<(), _>("stop".into()));
        assert_eq!(guard(|| panic!("stop {}", 7)), Err::<(), _>("stop 7".into()));
        assert_eq!(guard(|| panic_any(7)), Err::<(), _>(SILENT.into()));
    }

    #[test]
    fn a_payload_that_panics_when_it_is_dropped_does_not_get_through() {
        assert_eq!(guard(|| panic_any(Bomb)), Err::<(), _>(SILENT.into()));
    }
}
