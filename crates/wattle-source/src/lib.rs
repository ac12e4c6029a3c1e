//! Where config comes from: adapters that say which API objects are there, and what changes.
//!
//! This crate owns the way from a place where people write, such as a directory, to a stream of [`Event`]s
//! in [`Batch`]es. It keeps the last good version of an object that has become bad, decides which of two
//! objects of the same name is in force, and reports what cannot be read. It refuses to know what objects
//! mean: that is the compiler's.
//!
//! Start reading at [`Event`], then [`State`] (files' contents in, events out, no disk), then [`Directory`].
//!
//! # How to add a source
//!
//! 1. A pure state: what the outside says in, a [`Batch`] out; hold it to what `tests/state.rs` demands.
//! 2. A future that feeds it and sends batches to an `mpsc::Sender<Batch>`, a [`Event::Reset`] first,
//!    ending when nobody reads any more.
//! 3. Combine it with others by [`merge`].

mod directory;
mod event;
mod layers;
mod memory;
mod merge;

pub use directory::{Contents, Directory, DirectoryError, State};
pub use event::{Batch, Event, Snapshot, Unreadable};
pub use memory::{Memory, Unread};
pub use merge::{Merged, merge};
