//! The in-process backend of Larder.
