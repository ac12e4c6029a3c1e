//! Authenticate: every token that a request carries where a rule looks has to be valid, and what it says is lent to
//! policies and told to the application. Without a token nothing is claimed; a policy asks for one.

mod found;
mod known;
mod verified;

use std::rc::Rc;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use wattle_http::RequestHead;
use wattle_jwt::{Token, verify_any};

use super::limit::Refused;
use crate::worker::{Clock, Place, TokenRules};
pub(crate) use found::remove_reserved;
use known::Known;
pub(crate) use verified::Verified;

/// Most tokens of a request: each may cost a signature.
const MAX_TOKENS: usize = 8;

/// The rules as one worker holds them, with what it has verified by them.
pub(crate) struct Tokens {
    rules: Arc<TokenRules>,
    known: Known,
}

/// A token, and the place where it was.
type Proven = (usize, Rc<Verified>);

impl Tokens {
    pub(crate) fn new(rules: Arc<TokenRules>) -> Self {
        Self {
            rules,
            known: Known::default(),
        }
    }

    /// Verifies what the request carries and writes its head as the application gets it; gives the first token.
    ///
    /// Policies see the head afterwards, so that a header that stands for a claim cannot be made up.
    pub(crate) fn authenticate(
        &self,
        clock: &Clock,
        head: &mut RequestHead,
    ) -> Result<Option<Rc<Verified>>, Refused> {
        let proven = self.proven(clock, head).map_err(|rejection| {
            tracing::debug!(rejection, "token refused");
            Refused::token(rejection)
        })?;
        for (place, verified) in &proven {
            if !self.rules.rules[verified.rule].forward {
                found::remove(head, &self.rules.places[*place].location);
            }
        }
        found::remove_reserved(&mut head.headers, &self.rules.reserved);
        for (_, verified) in &proven {
            verified.tell(&mut head.headers);
        }
        Ok(proven.into_iter().next().map(|(_, verified)| verified))
    }

    /// All tokens of the request in the order of the rules; the id of a rejection when one of them is not valid.
    fn proven(&self, clock: &Clock, head: &RequestHead) -> Result<Vec<Proven>, &'static str> {
        let mut proven: Vec<Proven> = Vec::new();
        for (number, place) in self.rules.places.iter().enumerate() {
            found::each(head, &place.location, |text| {
                if proven.len() == MAX_TOKENS {
                    return Err("jwt-too-many");
                }
                let text = text.ok_or("jwt-malformed")?;
                proven.push((number, self.verify(clock, (number, place), text)?));
                Ok(())
            })?;
        }
        Ok(proven)
    }

    fn verify(
        &self,
        clock: &Clock,
        (number, place): (usize, &Place),
        text: &str,
    ) -> Result<Rc<Verified>, &'static str> {
        let now = clock.wall().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_secs());
        if let Some(known) = self.known.find(number, text, now) {
            return Ok(known);
        }
        let token = Token::parse(text).map_err(|rejection| rejection.id())?;
        let rules = place
            .rules
            .iter()
            .map(|rule| &self.rules.rules[*rule].requirements);
        let (nth, claims) = verify_any(token, rules, now).map_err(|rejection| rejection.id())?;
        let rule = place.rules[nth];
        let verified = Rc::new(Verified::new(rule, &self.rules.rules[rule], &claims, now));
        self.known.keep(number, text, &verified);
        Ok(verified)
    }
}
