//! The targets, one file for each part of Larder.

pub mod envelope;
pub mod serializers;
pub mod wrappers;
