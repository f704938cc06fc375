//! Calls of a component that never lets anybody wait: made on this thread, without a slot for an
//! answer that comes later, and without an allocation.

use std::ffi::c_void;

use larder_abi::table::cap;
use larder_abi::{Status, call};

use super::Keeper;
use crate::adapt::args::deadline_us;
use crate::host::log;

/// An instance, as its functions are called with it.
type S = *mut c_void;

impl<V: Send + Sync> Keeper<V> {
    /// Whether every answer is there when the call returns, and that is soon.
    #[inline]
    pub(crate) fn is_sync(&self) -> bool {
        self.manner.caps & (cap::SYNC | cap::BLOCKING) == cap::SYNC
    }

    /// Calls a function of the table of a component that [is synchronous](Self::is_sync), and says
    /// what it said; `None` if its instance is given up.
    ///
    /// The library is told a coarse time: what may have come to its end since, the host looks at
    /// once more.
    #[inline]
    pub(crate) fn call_now(
        &self,
        run: impl FnOnce(&V, S, *const call::Call) -> Status,
    ) -> Option<Status> {
        // Until the call is over, so that the instance is not destroyed before.
        let instance = self.instance.visit()?;
        if instance.identity().is_poisoned() {
            return None;
        }
        log::refresh();
        let now_us = deadline_us(Some(self.manner.clock.wall_coarse()));
        let call = call::Call {
            struct_size: size_of::<call::Call>() as u32,
            flags: 0,
            now_us,
            deadline_us: now_us.saturating_add(self.timeout_us),
            traceparent: std::ptr::null(),
            slot: std::ptr::null_mut(),
        };
        let status = run(self.table, instance.this(), &raw const call);
        if status == Status::PANICKED {
            instance.identity().poison();
        }
        Some(status)
    }
}
