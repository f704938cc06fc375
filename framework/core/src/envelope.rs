//! The 48-byte header in front of every stored entry (written by another hand in this commit).
