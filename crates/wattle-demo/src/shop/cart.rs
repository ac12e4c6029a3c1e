//! `cart`: what a visitor wants to buy, kept in the ledger under the visitor's name. Of two writers the last one wins.

use super::{PRODUCTS, is_visitor};
use crate::ledger::{Client, Command, Outcome};
use crate::serve::{Asked, Reply, Service};
use crate::settings::{Name, Settings};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most pieces of one product.
const MAX_QUANTITY: u32 = 99;

/// What a visitor wants more of.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    pub(crate) visitor: String,
    pub(crate) product: u32,
    pub(crate) quantity: u32,
}

/// Quantity by product.
type Contents = BTreeMap<u32, u32>;

/// `GET /cart/VISITOR` and `POST /cart` with a [`Wish`].
#[derive(Debug)]
pub(crate) struct Cart {
    ledger: Client,
}

impl Cart {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            ledger: Client::new(settings.upstream(Name::Ledger), settings.timeout),
        }
    }

    async fn contents(&self, visitor: &str) -> Result<Contents, Reply> {
        match self.ledger.ask(&Command::Get { key: &key(visitor) }).await? {
            Outcome::Value(text) => serde_json::from_str(&text).map_err(|error| unreadable(&error)),
            _ => Ok(Contents::new()),
        }
    }

    async fn add(&self, wish: Wish) -> Result<Reply, Reply> {
        let known = (1..=PRODUCTS).contains(&wish.product) && (1..=MAX_QUANTITY).contains(&wish.quantity);
        if !known || !is_visitor(&wish.visitor) {
            return Err(Reply::text(
                StatusCode::BAD_REQUEST,
                "no such visitor, product or quantity",
            ));
        }
        let mut contents = self.contents(&wish.visitor).await?;
        let quantity = contents.entry(wish.product).or_default();
        *quantity = (*quantity + wish.quantity).min(MAX_QUANTITY);
        let value = serde_json::to_string(&contents).map_err(|error| unreadable(&error))?;
        self.ledger
            .ask(&Command::Set {
                key: &key(&wish.visitor),
                value: &value,
            })
            .await?;
        Ok(Reply::json(&contents))
    }
}

impl Service for Cart {
    async fn answer(&self, asked: Asked) -> Result<Reply, Reply> {
        match (&asked.method, asked.segments().as_slice()) {
            (&Method::GET, ["cart", visitor]) if is_visitor(visitor) => {
                Ok(Reply::json(&self.contents(visitor).await?))
            }
            (&Method::POST, ["cart"]) => match serde_json::from_slice(&asked.body) {
                Ok(wish) => self.add(wish).await,
                Err(error) => Err(Reply::text(StatusCode::BAD_REQUEST, error.to_string())),
            },
            _ => Err(Reply::not_found()),
        }
    }
}

fn key(visitor: &str) -> String {
    format!("cart/{visitor}")
}

fn unreadable(error: &serde_json::Error) -> Reply {
    Reply::text(
        StatusCode::BAD_GATEWAY,
        format!("ledger: cart cannot be read: {error}"),
    )
}
