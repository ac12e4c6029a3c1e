//! Printing tables, and what a long-running command shows on a terminal.
pub(crate) mod table;
