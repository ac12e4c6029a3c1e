//! The life of a request, in order: accept → detect → identify → route → authenticate → external → authorize → limit →
//! transform → pick → connect → exchange → record. One file each; opaque connections leave the list after authorize and
//! come back at pick.
//!
//! `outbound` and `inbound` call them in that order; nothing here calls back.

pub(crate) mod accept;
pub(crate) mod ask;
pub(crate) mod authenticate;
pub(crate) mod authorize;
pub(crate) mod connect;
pub(crate) mod deadline;
pub(crate) mod delay;
pub(crate) mod detect;
pub(crate) mod exchange;
pub(crate) mod external;
pub(crate) mod identify;
pub(crate) mod limit;
pub(crate) mod pick;
pub(crate) mod probe;
pub(crate) mod query;
pub(crate) mod record;
pub(crate) mod relay;
pub(crate) mod reply;
pub(crate) mod route;
pub(crate) mod session;
pub(crate) mod transform;
pub(crate) mod uploaded;
