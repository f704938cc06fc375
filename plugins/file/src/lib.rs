//! The file backend of Larder: one file per entry, safe against torn writes.
