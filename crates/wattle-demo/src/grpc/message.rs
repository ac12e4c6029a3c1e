//! The messages of `wattle.demo.v1.Ratings`; the numbers are those of `ratings.proto`.

/// The unary method.
pub(crate) const RATE: &str = "/wattle.demo.v1.Ratings/Rate";
/// The method with a stream of answers.
pub(crate) const LIST_VOTES: &str = "/wattle.demo.v1.Ratings/ListVotes";

/// Which product.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RateRequest {
    #[prost(uint32, tag = "1")]
    pub(crate) product: u32,
}

/// What it is thought of.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Rating {
    #[prost(uint32, tag = "1")]
    pub(crate) product: u32,
    #[prost(double, tag = "2")]
    pub(crate) stars: f64,
    #[prost(uint32, tag = "3")]
    pub(crate) votes: u32,
}

/// Which product, and how many votes at most.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ListVotesRequest {
    #[prost(uint32, tag = "1")]
    pub(crate) product: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) limit: u32,
}

/// One vote.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Vote {
    #[prost(string, tag = "1")]
    pub(crate) voter: String,
    #[prost(uint32, tag = "2")]
    pub(crate) stars: u32,
}
