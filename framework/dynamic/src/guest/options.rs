//! The options of a component: its schema, and what is wrong with them.

use larder_abi::Status;
use larder_abi::call::Error;
use larder_abi::value::Slice;
use larder_core::plugin::ConfigCheck;
use larder_core::{KeyPath, Problems};
use serde_json::{Value, json};

use super::reply::{self, own};
use crate::adapt::failure;
use crate::borrow;
use crate::guard::guard;

/// Puts the schema out. It stays for ever: the host asks once.
///
/// # Safety
///
/// `out` must be a place for a text.
pub(crate) unsafe fn schema(check: &dyn ConfigCheck, out: *mut Slice) -> Status {
    let Ok(schema) = guard(|| check.schema().to_value().to_string()) else {
        return Status::PANICKED;
    };
    // SAFETY: the caller says so.
    unsafe { out.write(Slice::new(schema.leak().as_bytes())) };
    Status::OK
}

/// Checks options, and puts out what is wrong with them.
///
/// # Safety
///
/// The pointers must be those of a `validate` of the header.
pub(crate) unsafe fn validate(
    check: &dyn ConfigCheck,
    options: *const Slice,
    error: *mut Error,
) -> Status {
    let checked = guard(|| {
        // SAFETY: the caller says so.
        let options = unsafe { options.as_ref() }.map_or(Ok(&[][..]), |options| {
            // SAFETY: the caller says so.
            unsafe { borrow::slice(options, "the options") }
        });
        let options: Value =
            serde_json::from_slice(options.unwrap_or_default()).unwrap_or_default();
        check.check(&options, &KeyPath::root())
    });
    match checked {
        Ok(Ok(())) => Status::OK,
        Ok(Err(problems)) => {
            let mut filled = failure::blank();
            filled.code = Status::CONFIG;
            filled.message = own(problems.to_string().into_bytes());
            filled.problems_json = own(listed(&problems).to_string().into_bytes());
            // SAFETY: the caller says so.
            unsafe { reply::put(error, filled) };
            Status::CONFIG
        }
        // SAFETY: the caller says so.
        Err(panic) => unsafe { reply::panicked(error, panic) },
    }
}

/// Problems as the header lists them, with JSON pointers (RFC 6901).
fn listed(problems: &Problems) -> Value {
    let problems = problems.iter().map(|problem| {
        let segments = problem.path.segments().iter();
        let pointer: String = segments
            .map(|segment| format!("/{}", segment.replace('~', "~0").replace('/', "~1")))
            .collect();
        json!({"pointer": pointer, "message": problem.message})
    });
    problems.collect()
}
