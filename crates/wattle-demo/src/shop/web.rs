//! `web`: the front of the shop. Asks everybody else, at once, and answers 502 with the reason when one of them fails.

use super::catalog::Product;
use super::reviews::{Opinions, REVIEWS_VERSION};
use super::{greeter, is_visitor, json, page};
use crate::serve::{Asked, Reply, Service, Trail};
use crate::settings::{Name, Settings};
use crate::upstream::{Answer, Client, Question};
use http::{Method, StatusCode};
use std::collections::BTreeMap;

/// The product whose reviews stand on the front page.
const FEATURED: u32 = 1;
/// Whose cart the front page shows when nobody says who is there.
const NOBODY: &str = "nobody";

/// `GET /`, `GET /product/N`, `POST /cart`, `GET /cart/VISITOR` and `GET /welcome/VISITOR`.
#[derive(Debug)]
pub(crate) struct Web {
    catalog: Client,
    cart: Client,
    reviews: Client,
    greeter: greeter::Client,
}

impl Web {
    pub(crate) fn new(settings: &Settings) -> Self {
        let client = |name| Client::new(settings.upstream(name), settings.timeout);
        Self {
            catalog: client(Name::Catalog),
            cart: client(Name::Cart),
            reviews: client(Name::Reviews),
            greeter: greeter::Client {
                upstream: settings.upstream(Name::Greeter),
                timeout: settings.timeout,
            },
        }
    }

    async fn front(&self, asked: &Asked) -> Result<Reply, Reply> {
        let question = |path: String| Question::of(path, &asked.passed_on);
        let (products, said, cart) = tokio::try_join!(
            self.catalog.call(question("/products".to_owned())),
            self.reviews
                .call(question(format!("/reviews/{FEATURED}?votes=3"))),
            self.cart.call(question(format!("/cart/{NOBODY}"))),
        )?;
        let shelf: Vec<Product> = json(&self.catalog, &products)?;
        let opinions: Opinions = json(&self.reviews, &said)?;
        let contents: BTreeMap<u32, u32> = json(&self.cart, &cart)?;
        let html = page::front(&shelf, &opinions, contents.values().sum());
        Ok(with_version(
            Reply::html(html).after(trail(&[&products, &said, &cart])),
            &said,
        ))
    }

    async fn product(&self, id: u32, asked: &Asked) -> Result<Reply, Reply> {
        let question = |path: String| Question::of(path, &asked.passed_on);
        let found = self.catalog.ask(question(format!("/products/{id}")));
        let (found, said) = tokio::try_join!(found, self.reviews.ask(question(format!("/reviews/{id}"))))?;
        if found.status == StatusCode::NOT_FOUND {
            return Err(Reply::not_found());
        }
        let (found, said) = (self.catalog.success(found)?, self.reviews.success(said)?);
        let (product, opinions): (Product, Opinions) =
            (json(&self.catalog, &found)?, json(&self.reviews, &said)?);
        Ok(with_version(
            Reply::html(page::product(&product, &opinions)).after(trail(&[&found, &said])),
            &said,
        ))
    }

    async fn cart(&self, question: Question) -> Result<Reply, Reply> {
        let answer = self.cart.ask(question).await?;
        if answer.status.is_server_error() || answer.status == StatusCode::FORBIDDEN {
            return Err(self.cart.refused(&answer).into());
        }
        let mut reply = Reply::text(answer.status, "");
        reply.headers.extend(
            answer
                .headers
                .get(http::header::CONTENT_TYPE)
                .map(|kind| (http::header::CONTENT_TYPE, kind.clone())),
        );
        reply.body = answer.body.clone();
        Ok(reply.after(trail(&[&answer])))
    }

    async fn welcome(&self, visitor: &str) -> Result<Reply, Reply> {
        let greeting = self.greeter.greeting(visitor).await?;
        Ok(Reply::text(
            StatusCode::OK,
            format!("{} (says {})", greeting.text, greeting.signature),
        ))
    }
}

impl Service for Web {
    async fn answer(&self, asked: Asked) -> Result<Reply, Reply> {
        match (&asked.method, asked.segments().as_slice()) {
            (&Method::GET, []) => self.front(&asked).await,
            (&Method::GET, ["product", id]) => {
                self.product(id.parse().map_err(|_| Reply::not_found())?, &asked)
                    .await
            }
            (&Method::GET, ["cart", visitor]) if is_visitor(visitor) => {
                self.cart(Question::of(format!("/cart/{visitor}"), &asked.passed_on))
                    .await
            }
            (&Method::POST, ["cart"]) => {
                self.cart(Question::of("/cart", &asked.passed_on).posting(asked.body.clone()))
                    .await
            }
            (&Method::GET, ["welcome", visitor]) if is_visitor(visitor) => self.welcome(visitor).await,
            _ => Err(Reply::not_found()),
        }
    }
}

fn trail(answers: &[&Answer]) -> Trail {
    let mut trail = Trail::default();
    answers.iter().for_each(|answer| trail.add(&answer.headers));
    trail
}

/// The load counts which version of reviews served.
fn with_version(mut reply: Reply, said: &Answer) -> Reply {
    reply.headers.extend(
        said.headers
            .get(REVIEWS_VERSION)
            .map(|version| (REVIEWS_VERSION, version.clone())),
    );
    reply
}
