//! Which requests the load makes, and what a right answer to each looks like.

use crate::shop::{PRODUCTS, REVIEWS_VERSION};
use crate::upstream::{Answer, Question};
use bytes::Bytes;
use http::HeaderMap;

/// Visitors with a cart.
const VISITORS: u32 = 50;

/// A request, and what is expected of its answer.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) question: Question,
    pub(super) expect: Expect,
}

/// What a right answer holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expect {
    /// Text that is in it.
    text: &'static str,
    /// Whether a version of reviews took part.
    reviews: bool,
}

/// A request by chance: 50 % front page, 34 % a product, 14 % into the cart, 2 % a welcome.
pub(super) fn visit(chance: u64) -> Visit {
    let (kind, rest) = (chance % 100, (chance / 100 % u64::from(u32::MAX)) as u32);
    let (product, visitor) = (rest % PRODUCTS + 1, rest % VISITORS);
    let ask = |path: String| Question::of(path, &HeaderMap::new());
    let (question, text, reviews) = match kind {
        0..50 => (ask("/".to_owned()), "In the cart", true),
        50..84 => (ask(format!("/product/{product}")), "<h1>", true),
        84..98 => (
            ask("/cart".to_owned()).posting(wish(visitor, product)),
            "{",
            false,
        ),
        _ => (
            ask(format!("/welcome/visitor-{visitor}")),
            "welcome to the shop",
            false,
        ),
    };
    Visit {
        question,
        expect: Expect { text, reviews },
    }
}

fn wish(visitor: u32, product: u32) -> Bytes {
    format!("{{\"visitor\":\"visitor-{visitor}\",\"product\":{product},\"quantity\":1}}").into()
}

impl Expect {
    /// The version of reviews that took part, or what is wrong.
    pub(super) fn check(&self, answer: &Answer) -> Result<Option<String>, String> {
        if !String::from_utf8_lossy(&answer.body).contains(self.text) {
            return Err(format!("web: answered without {:?}", self.text));
        }
        let version = answer
            .headers
            .get(REVIEWS_VERSION)
            .and_then(|version| version.to_str().ok());
        match (self.reviews, version) {
            (true, None) => Err(format!("web: answered without {REVIEWS_VERSION}")),
            (_, version) => Ok(version.map(str::to_owned)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_in_five_requests_see_the_reviews() {
        let with_reviews = (0..1000).filter(|chance| visit(*chance).expect.reviews).count();
        assert_eq!(with_reviews, 840);
    }

    #[test]
    fn an_answer_without_what_belongs_there_is_a_failure() {
        let expect = Expect {
            text: "hello",
            reviews: true,
        };
        let answer = |body: &'static str, headers| Answer {
            status: http::StatusCode::OK,
            headers,
            body: body.into(),
        };
        let version = HeaderMap::from_iter([(REVIEWS_VERSION, http::HeaderValue::from_static("v2"))]);
        assert_eq!(
            expect.check(&answer("oh hello", version.clone())),
            Ok(Some("v2".to_owned()))
        );
        assert!(expect.check(&answer("", version)).is_err());
        assert!(expect.check(&answer("hello", HeaderMap::new())).is_err());
    }
}
