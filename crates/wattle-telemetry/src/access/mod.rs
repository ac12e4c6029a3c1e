//! The access log: one JSON line per request, written by a thread of its own.

mod json;
mod record;
mod writer;

pub use json::MAX_TEXT;
pub use record::AccessRecord;
pub use writer::{AccessLog, AccessLogConfig, AccessWriter, Sink};
