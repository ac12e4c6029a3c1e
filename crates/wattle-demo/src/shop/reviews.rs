//! `reviews`: what people say. v1 says it; v2 asks `ratings` for stars as well, and for the latest votes where wanted.

use super::PRODUCTS;
use crate::grpc::message::{LIST_VOTES, ListVotesRequest, RATE, RateRequest, Rating, Vote};
use crate::grpc::{Channel, channel::Answers};
use crate::serve::{Asked, Reply, Service, Trail};
use crate::settings::{Name, Settings};
use crate::upstream::CallError;
use http::{HeaderName, HeaderValue, Method};
use serde::{Deserialize, Serialize};

/// Which version of reviews took part in an answer; `web` passes it on.
pub(crate) const REVIEWS_VERSION: HeaderName = HeaderName::from_static("x-reviews-version");

/// What is said about a product.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Opinions {
    pub(crate) product: u32,
    pub(crate) reviews: Vec<Opinion>,
    /// From v2 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rating: Option<Stars>,
}

/// What one person says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Opinion {
    pub(crate) who: String,
    pub(crate) text: String,
}

/// What the ratings say.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Stars {
    pub(crate) average: f64,
    pub(crate) votes: u32,
    pub(crate) latest: Vec<u32>,
}

/// `GET /reviews/N`, with `?votes=K` for the latest votes.
#[derive(Debug)]
pub(crate) struct Reviews {
    version: String,
    ratings: Channel,
}

impl Reviews {
    pub(crate) fn new(settings: &Settings) -> Self {
        let ratings = Channel::new(settings.upstream(Name::Ratings), settings.timeout);
        Self {
            version: settings.version.clone(),
            ratings,
        }
    }

    async fn stars(&self, product: u32, asked: &Asked, trail: &mut Trail) -> Result<Stars, CallError> {
        let rate = self.ratings.call(RATE, RateRequest { product }, &asked.passed_on);
        let Answers::<Rating> { headers, messages } = rate.await?;
        trail.add(&headers);
        let rating = messages.into_iter().next().unwrap_or_default();
        let latest = match asked.number("votes") {
            None | Some(0) => Vec::new(),
            Some(limit) => {
                let list =
                    self.ratings
                        .call(LIST_VOTES, ListVotesRequest { product, limit }, &asked.passed_on);
                let Answers::<Vote> { messages, .. } = list.await?;
                messages.into_iter().map(|vote| vote.stars).collect()
            }
        };
        Ok(Stars {
            average: rating.stars,
            votes: rating.votes,
            latest,
        })
    }
}

impl Service for Reviews {
    async fn answer(&self, asked: Asked) -> Result<Reply, Reply> {
        let segments = asked.segments();
        let (&Method::GET, &["reviews", product]) = (&asked.method, segments.as_slice()) else {
            return Err(Reply::not_found());
        };
        let product = product
            .parse()
            .ok()
            .filter(|product| (1..=PRODUCTS).contains(product));
        let product = product.ok_or_else(Reply::not_found)?;
        let mut trail = Trail::default();
        let rating = match self.version.as_str() {
            "v1" => None,
            _ => Some(self.stars(product, &asked, &mut trail).await?),
        };
        let mut reply = Reply::json(&Opinions {
            product,
            reviews: said(product),
            rating,
        })
        .after(trail);
        if let Ok(version) = HeaderValue::from_str(&self.version) {
            reply.headers.insert(REVIEWS_VERSION, version);
        }
        Ok(reply)
    }
}

fn said(product: u32) -> Vec<Opinion> {
    const TEXTS: [&str; 4] = [
        "bends and does not break",
        "smaller than it looks",
        "my neighbour wants one too",
        "smells of the river",
    ];
    let opinion = |(who, step): (&str, u32)| {
        let text = TEXTS[(product.wrapping_add(step) as usize) % TEXTS.len()];
        Opinion {
            who: who.to_owned(),
            text: text.to_owned(),
        }
    };
    [("Ann", 0), ("Ben", 1)].map(opinion).into()
}
