//! The typed in-process store of Larder: index, slab, expiry, policy hooks.
