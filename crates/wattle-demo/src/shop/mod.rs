//! The shop: one file a service, each as small as what it shows.
//!
//! ```text
//! web ──▶ catalog                      HTTP/1.1, two copies of catalog
//!  ├────▶ reviews v1 │ v2 ──▶ ratings  HTTP/1.1, then gRPC
//!  ├────▶ cart ──▶ ledger              HTTP/1.1, then TCP where the client speaks first
//!  └────▶ greeter                      TCP where the server speaks first
//! ```

mod cart;
mod catalog;
mod greeter;
mod ledger;
mod page;
mod ratings;
mod reviews;
mod web;

pub(crate) use cart::Cart;
pub(crate) use catalog::Catalog;
pub(crate) use greeter::greet;
pub(crate) use ledger::keep;
pub(crate) use ratings::Ratings;
pub(crate) use reviews::{REVIEWS_VERSION, Reviews};
pub(crate) use web::Web;

use crate::upstream::{Answer, CallError, Client, Failure};
use serde::de::DeserializeOwned;

/// The products on the shelf are numbered from 1 to this.
pub const PRODUCTS: u32 = 12;

/// An answer's JSON.
fn json<T: DeserializeOwned>(client: &Client, answer: &Answer) -> Result<T, CallError> {
    let value = serde_json::from_slice(&answer.body);
    value.map_err(|error| client.failed(Failure::Unreadable(error.to_string())))
}

/// A visitor's name as it may stand in a path and in a ledger's key.
fn is_visitor(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !name.is_empty() && name.len() <= 64 && name.bytes().all(plain)
}
