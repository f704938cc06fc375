//! Calls of a component that never lets anybody wait: made on this thread, without a slot for an
//! answer that comes later, and without an allocation.

use std::ffi::c_void;
use std::sync::Arc;

use larder_abi::table::cap;
use larder_abi::{Status, call};

use super::{Keeper, note_panic};
use crate::adapt::args::{Args, deadline_us};
use crate::adapt::failure;
use crate::adapt::output::{Answer, Output};
use crate::host::log;

/// An instance, as its functions are called with it.
type S = *mut c_void;

impl<V: Send + Sync> Keeper<V> {
    /// Whether every answer is there when the call returns, and that is soon.
    pub(crate) fn is_sync(&self) -> bool {
        self.manner.caps & (cap::SYNC | cap::BLOCKING) == cap::SYNC
    }

    /// Calls a function of the table of a component that [is synchronous](Self::is_sync). What the
    /// answer may lie in comes with it.
    ///
    /// The library is told a coarse time: what may have come to its end since, the host looks at
    /// once more.
    #[inline]
    pub(crate) fn answer_now<O: Output>(
        self: &Arc<Self>,
        run: impl FnOnce(&V, S, *const call::Call, *mut O::Raw, *mut call::Error) -> Status,
    ) -> (Answer<O>, O::Room) {
        let mut room = O::Room::default();
        // Held until the call is over, so that the instance is not destroyed before.
        let instance = self.instance.load();
        let Some(instance) = instance.as_ref().filter(|one| !one.identity().is_poisoned()) else {
            return (self.refuse(), room);
        };
        log::refresh();
        let now = self.manner.clock.wall_coarse();
        let call = call::Call {
            struct_size: size_of::<call::Call>() as u32,
            flags: 0,
            now_us: deadline_us(Some(now)),
            deadline_us: deadline_us(Some(now.after(self.manner.timeout))),
            traceparent: std::ptr::null(),
            slot: std::ptr::null_mut(),
        };
        let mut blank = O::blank(&mut room, &Args::default());
        let (lent, out) = (O::lent(&blank), &raw mut blank);
        let mut error = failure::blank();
        let status = run(self.table, instance.this(), &raw const call, out, &raw mut error);
        // SAFETY: both are ours, filled in by the call, and read for the first time.
        let answer = unsafe { Answer::taken(status, out, &raw const error, &lent) };
        if status == Status::PENDING {
            return (Answer::broken("it said `pending` without `op_defer`"), room);
        }
        note_panic(&answer, instance);
        (answer, room)
    }
}
