//! What people are shown: tables, and the golden metrics in them.

pub(crate) mod golden;
pub(crate) mod number;
pub(crate) mod progress;
pub(crate) mod table;
pub(crate) mod time;
