//! Eviction policies of Larder, one file each.
