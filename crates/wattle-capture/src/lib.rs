//! Everything that puts a workload's traffic in the mesh's hands: namespaces, links, addresses, names, redirection.
//!
//! **Owns** the isolated world a local mesh runs in ([`isolation`]), one network namespace for each
//! workload ([`Netns`]) and the bridge between them ([`Bridge`]), traffic redirection as data rendered
//! to nftables ([`Redirect`]), starting a program inside a namespace as another user ([`SpawnSpec`]) and
//! apart from the others ([`apart`]), the files that resolve names there ([`names`]), address allocation ([`Allocator`]), what is left
//! on disk by a crash ([`leftover`]), memory that a program no longer needs ([`memory`]) and the checks of the machine
//! ([`preflight`]).
//!
//! **Refuses to know** HTTP, the proxy, the control plane and async: every call blocks and is made at
//! start-up, not on the path of a request. Nothing made here reaches outside: the bridge has no uplink.
//!
//! **Start reading** at [`isolation`], then [`netns`], [`bridge`] and [`redirect`].
//!
//! The life of a local mesh:
//!
//! ```text
//! outer process ─ Isolation::spawn ─▶ warden ─▶ init (pid 1) ─▶ supervisor ─▶ exec-in ─▶ workload
//!   host network     in new namespaces: network, mount, pid (and user without root)
//! ```
//!
//! Whichever of them dies, the kernel ends all to its right, and the namespaces go with the last of them.
#![allow(unsafe_code)]

pub mod address;
pub mod apart;
pub mod bridge;
pub mod exec;
pub mod isolation;
pub mod leftover;
pub mod memory;
pub mod names;
pub mod netns;
pub mod preflight;
pub mod privileges;
pub mod redirect;
pub mod tool;

mod signals;
mod users;

pub use address::Allocator;
pub use bridge::Bridge;
pub use exec::SpawnSpec;
pub use isolation::{Isolated, Isolation};
pub use netns::Netns;
pub use privileges::Privileges;
pub use redirect::Redirect;
