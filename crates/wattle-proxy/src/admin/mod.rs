//! What a proxy says of itself: `/ready`, `/metrics`, `/stats`; on loopback also `/config`, `/refusals`, `/certs`, `/drain`, `/logging`.

mod answers;
mod pages;
mod serve;

pub(crate) use answers::{gauges, json_page, plain, typed, typed_status};
pub(crate) use pages::Facts;
pub(crate) use serve::{Audience, Pages, serve, serve_socket};
