//! What a proxy says of itself: `/ready`, `/metrics`, `/stats`; on loopback also `/config`, `/certs`, `/drain`, `/logging`.

mod pages;
mod serve;

pub(crate) use pages::Facts;
pub(crate) use serve::serve;
