//! Sockets and the bytes on them: listen, connect, original destination, protocol detection, TLS
//! streams, relay, drain and the wall clock.
//!
//! Owns everything between the kernel's sockets and a stream of plain bytes. It refuses to know the
//! mesh: no identities, no policy, no HTTP semantics, no configuration format. TLS is told who may
//! be trusted through `rustls` configurations that others build.
//!
//! Every type here is used from one thread: a worker with a current-thread runtime and a `LocalSet`.
//! Buffers come from a pool of that thread, so a connection that has nothing to move holds none.
//!
//! Start reading at [`Stream`], then [`tls`], [`detect`](mod@detect) and [`relay`](mod@relay).

mod buffer;
mod clock;
pub mod connect;
pub mod detect;
pub mod drain;
mod listen;
mod original;
pub mod proxy_protocol;
pub mod relay;
mod stream;
pub mod tls;
pub mod tunnel;

pub use clock::{Clock, Hand};
pub use connect::{ConnectError, ConnectOptions, Keepalive, connect};
pub use detect::{ClientHello, Verdict, classify, detect, first_speaker};
pub use drain::{Drain, Draining};
pub use listen::{ListenOptions, listen, listen_from_fd};
pub use original::original_destination;
pub use relay::{RelayOptions, relay};
pub use stream::{Stream, Transport};
