//! `ratings`: the stars, over gRPC. Speaks nothing else, so its health is an open port.

use super::PRODUCTS;
use crate::grpc::frame::{Messages, framed};
use crate::grpc::message::{LIST_VOTES, ListVotesRequest, RATE, RateRequest, Rating, Vote};
use crate::grpc::{Code, opening, status};
use crate::serve::SERVED_BY;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use wattle_http::{Body, Frame, Handler, Request, Response};

/// Votes that are remembered of each product.
const KEPT_VOTES: u32 = 100;
/// Messages that wait for a slow reader.
const WAITING: usize = 4;

/// `wattle.demo.v1.Ratings`.
#[derive(Debug)]
pub(crate) struct Ratings {
    pub(crate) signature: String,
}

/// A call that fails: status and text.
type Refusal = (Code, &'static str);

impl Handler for Ratings {
    async fn handle(&self, request: Box<Request>) -> Response {
        let answered = match (&request.head.method, request.head.path_and_query.as_str()) {
            (&Method::POST, RATE) => rate(request.body).await,
            (&Method::POST, LIST_VOTES) => list_votes(request.body).await,
            _ => Err((Code::Unimplemented, "no such method")),
        };
        let (fields, body) = match answered {
            Ok(body) => (HeaderMap::new(), body),
            Err((code, message)) => (status(code, message), Body::Empty),
        };
        let mut response = Response::new(StatusCode::OK, body);
        response.head.headers = opening();
        response.head.headers.extend(fields);
        if let Ok(signature) = HeaderValue::from_str(&self.signature) {
            response.head.headers.insert(SERVED_BY, signature);
        }
        response
    }
}

async fn rate(body: Body) -> Result<Body, Refusal> {
    let RateRequest { product } = only(body).await?;
    let votes = votes_of(product)?;
    let sum: u32 = (0..votes).map(|index| vote(product, index).stars).sum();
    let rating = Rating {
        product,
        stars: f64::from(sum) / f64::from(votes),
        votes,
    };
    let (sender, answers) = Body::channel(2);
    let sent = sender
        .try_send(Frame::Data(framed(&rating)))
        .and_then(|()| sender.try_send(Frame::Trailers(status(Code::Ok, ""))));
    debug_assert!(sent.is_ok(), "a new queue has room for two frames");
    sender.finish();
    Ok(answers)
}

async fn list_votes(body: Body) -> Result<Body, Refusal> {
    let ListVotesRequest { product, limit } = only(body).await?;
    let count = votes_of(product)?.min(limit);
    let (sender, answers) = Body::channel(WAITING);
    // Ends when all is sent or nobody reads any more.
    tokio::task::spawn_local(async move {
        for index in 0..count {
            if sender
                .send(Frame::Data(framed(&vote(product, index))))
                .await
                .is_err()
            {
                return;
            }
        }
        if sender.send(Frame::Trailers(status(Code::Ok, ""))).await.is_ok() {
            sender.finish();
        }
    });
    Ok(answers)
}

async fn only<M: prost::Message + Default>(body: Body) -> Result<M, Refusal> {
    match Messages::of(body).next().await {
        Ok(Some(message)) => Ok(message),
        _ => Err((Code::InvalidArgument, "expected one message")),
    }
}

fn votes_of(product: u32) -> Result<u32, Refusal> {
    match product {
        1..=PRODUCTS => Ok(KEPT_VOTES - product),
        _ => Err((Code::NotFound, "no such product")),
    }
}

fn vote(product: u32, index: u32) -> Vote {
    Vote {
        voter: format!("visitor-{index}"),
        stars: 3 + (product + index * index) % 3,
    }
}
