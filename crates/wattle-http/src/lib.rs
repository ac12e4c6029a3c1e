//! HTTP/1.x and HTTP/2 on any byte stream: messages, bodies, upgrades, one connection at a time.
//!
//! Owns: reading and writing messages on one connection, both roles, both versions; streaming bodies with back-pressure;
//! the way header names were spelled; what may be sent again after a failure.
//!
//! Refuses to know: the mesh, policy, routes, addresses, TLS, pools. A pool above hears of an idle HTTP/1
//! connection through [`h1::Checkin`] and clones an [`h2::Client`].
//!
//! Everything is single-threaded: one worker, one current-thread runtime, `Rc` and no lock. Start reading at
//! [`Request`] and [`Body`], then [`h1::serve`] and [`h1::Client`].

mod body;
mod drain;
mod error;
mod handler;
mod headers;
mod io;
mod limits;
mod message;
mod spelling;
mod text;

pub mod client_simple;
pub mod fuzz;
pub mod h1;
pub mod h2;

pub use body::{Body, BodyError, Frame, Kept, Sender, Watch, Watched};
pub use drain::{Drain, DrainSignal};
pub use error::{ParseError, SendError, SendErrorKind, ServeError};
pub use handler::{Ended, Handler, Served};
pub use headers::{Stripped, has_token, restore_upgrade, strip_hop_by_hop};
pub use io::Io;
pub use limits::Limits;
pub use message::{Answered, Informational, Request, RequestHead, Response, ResponseHead, Scheme};
pub use spelling::Spelling;
pub use text::ByteStr;
