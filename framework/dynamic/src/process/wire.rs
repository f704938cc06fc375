//! What a program and its `larder-runner` say to each other.
//!
//! Both greet with a line of their own, so that a program that merely sends back what it gets is
//! no runner. Then each sends [frames](frame): the program [`Ask`]s, the runner [`Tell`]s.
//! Answers have the number of their question and come in any order.

mod blob;
pub mod frame;
mod greeting;
mod message;
mod outbox;
mod trouble;

pub use blob::Blob;
pub use frame::FrameError;
pub use greeting::{Greeting, Side};
pub use message::{
    Ask, Call, Described, Description, Granted, Load, Log, Make, Place, Question, Refused, Reply,
    Seen, Tell,
};
pub use outbox::{Outbox, Unsent};
pub use trouble::Trouble;
