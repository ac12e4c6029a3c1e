//! `catalog`: what is for sale. Knows nobody, so that one of its copies can be killed unnoticed.

use super::PRODUCTS;
use crate::serve::{Asked, Reply, Service};
use http::Method;
use serde::{Deserialize, Serialize};

const WOODS: [&str; 4] = ["willow", "hazel", "oak", "ash"];
const THINGS: [&str; 3] = ["basket", "hurdle", "chair"];

/// Something for sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Product {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) price_cents: u32,
}

impl Product {
    fn numbered(id: u32) -> Option<Self> {
        let index = id.checked_sub(1).filter(|_| id <= PRODUCTS)? as usize;
        let name = format!("{} {}", WOODS[index % WOODS.len()], THINGS[index % THINGS.len()]);
        Some(Self {
            id,
            name,
            price_cents: 900 + 350 * id,
        })
    }
}

/// `GET /products` and `GET /products/N`.
#[derive(Debug)]
pub(crate) struct Catalog;

impl Service for Catalog {
    async fn answer(&self, asked: Asked) -> Result<Reply, Reply> {
        Ok(match (&asked.method, asked.segments().as_slice()) {
            (&Method::GET, ["products"]) => {
                Reply::json(&(1..=PRODUCTS).filter_map(Product::numbered).collect::<Vec<_>>())
            }
            (&Method::GET, ["products", id]) => match id.parse().ok().and_then(Product::numbered) {
                Some(product) => Reply::json(&product),
                None => Reply::not_found(),
            },
            _ => Reply::not_found(),
        })
    }
}
