//! The config river's last stretch: resources arrive, are kept, and reach the workers.
//!
//! Runs on the main thread's runtime; workers are only told what is complete.

mod files;
mod following;
mod held;
mod in_force;
mod interest;
mod news;
mod saved;
mod stream;

pub(crate) use files::{Materials, keep_read};
pub(crate) use following::Following;
pub(crate) use held::Held;
pub(crate) use in_force::InForce;
pub(crate) use news::{Ask, Dialled, Feed, MAX_ASKS, News, Post};
pub(crate) use saved::{Saved, write_private, write_public};
pub(crate) use stream::{ConfigDump, ConfigTask, StreamHealth};
