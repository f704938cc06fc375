//! [`Scratch`], where a library puts a small value.

/// A buffer of this thread, which one call at a time writes small values to.
#[derive(Debug, Default)]
pub(crate) struct Scratch(Option<Box<[u8]>>);

/// How large it is.
const SCRATCH: usize = 4096;

thread_local! {
    static SPARE: std::cell::Cell<Option<Box<[u8]>>> = const { std::cell::Cell::new(None) };
}

impl Scratch {
    /// Takes the buffer of the thread, or another if that is in use.
    #[inline]
    pub(crate) fn open(&mut self) -> (*mut u8, usize) {
        let spare = SPARE.try_with(std::cell::Cell::take).unwrap_or_default();
        let buffer = self.0.insert(spare.unwrap_or_else(|| vec![0; SCRATCH].into()));
        (buffer.as_mut_ptr(), buffer.len())
    }

    /// What was put there, so far.
    #[inline]
    pub(crate) fn bytes(&self, length: usize) -> &[u8] {
        self.0.as_ref().and_then(|buffer| buffer.get(..length)).unwrap_or_default()
    }

    /// The buffer, to be looked at for longer than the call.
    #[inline]
    pub(crate) fn into_buffer(mut self) -> Box<[u8]> {
        self.0.take().unwrap_or_default()
    }

    /// The thread has a buffer again.
    #[inline]
    pub(crate) fn give_back(buffer: Box<[u8]>) {
        // A thread that ends keeps nothing.
        SPARE.try_with(|spare| spare.set(Some(buffer))).ok();
    }
}

impl Drop for Scratch {
    #[inline]
    fn drop(&mut self) {
        if let Some(buffer) = self.0.take() {
            Self::give_back(buffer);
        }
    }
}
