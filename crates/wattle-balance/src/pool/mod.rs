//! Connections kept open: one request at a time each (`idle.rs`), or many at once (`shared.rs`).

pub(crate) mod idle;
pub(crate) mod shared;
mod waiting;
