//! HTTP/1.0 and HTTP/1.1: our own codec over `httparse`.
//!
//! `parse` turns bytes into heads and is strict where peers disagree; `decode` and `chunked` read bodies; `encode` writes;
//! `transport` holds the stream and its buffers; `server` and `client` are the two roles.

mod chunked;
mod client;
mod conn;
mod decode;
mod encode;
mod exchange;
mod fields;
mod framing;
mod outgoing;
mod parse;
mod response_body;
mod server;
mod target;
mod timer;
mod transport;
mod upload;

pub use client::{Checkin, Client};
pub use conn::RequestBody;
pub(crate) use conn::RequestSink;
pub use response_body::ResponseBody;
pub use server::serve;

pub(crate) use chunked::{Chunk, Chunked};
pub(crate) use framing::has_no_body;
pub(crate) use parse::{parse_request, parse_response};
pub(crate) use target::{is_host, is_plain};
pub(crate) use timer::Timer;
