//! Sessions that stay with one endpoint (GEP-1619).

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::cookie::{SetCookie, cookie};

/// How a session is told, and for how long it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPersistence {
    /// Where the session's token travels.
    pub carrier: SessionCarrier,
    /// The session ends so long after it began; `None` never.
    pub absolute_timeout: Option<Duration>,
}

/// Where a session's token travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionCarrier {
    /// A cookie of this name.
    Cookie {
        /// Its name.
        name: Box<str>,
        /// It outlives the browser (`Max-Age` is the absolute timeout); otherwise it ends with it.
        permanent: bool,
        /// Its path.
        path: Box<str>,
    },
    /// A header of this name, in responses and then in requests.
    Header(HeaderName),
}

/// Digits of the part of a token that names the endpoint.
const TAG_DIGITS: usize = 16;
/// How far clocks of proxies may differ: a session that began later than that has not begun.
const SKEW: u64 = 60;

impl SessionPersistence {
    /// The tag of the endpoint whose session a request belongs to, at this time in seconds since 1970; `None` for a request
    /// without a token, and for one that makes no sense or is over: it begins a session anew.
    ///
    /// A token is a hash of what makes the endpoint this one, and when the session began where that matters: whoever holds
    /// it learns neither an address nor a name that he could not guess, and nothing is reached by it but the endpoints of
    /// the backend. It is not signed, as no secret is shared by all proxies: a client that forges one gains a longer session.
    pub fn tag(&self, headers: &HeaderMap, now: u64) -> Option<u64> {
        let token = match &self.carrier {
            SessionCarrier::Cookie { name, .. } => cookie(headers, name)?,
            SessionCarrier::Header(name) => headers.get(name)?.to_str().ok()?,
        };
        let (tag, begun) = match token.split_once('-') {
            Some((tag, begun)) => (tag, Some(hexadecimal(begun)?)),
            None => (token, None),
        };
        if let Some(limit) = self.absolute_timeout {
            let begun = begun?;
            let ends = begun.saturating_add(limit.as_secs());
            if begun > now.saturating_add(SKEW) || now >= ends {
                return None;
            }
        }
        hexadecimal(tag).filter(|_| tag.len() == TAG_DIGITS)
    }

    /// The response's header that begins a session with the endpoint of this tag; `secure` when the client spoke TLS.
    pub fn begin(&self, tag: u64, now: u64, secure: bool) -> Option<(HeaderName, HeaderValue)> {
        let token = match self.absolute_timeout {
            Some(_) => format!("{tag:016x}-{now:x}"),
            None => format!("{tag:016x}"),
        };
        match &self.carrier {
            SessionCarrier::Header(name) => Some((name.clone(), HeaderValue::try_from(token).ok()?)),
            SessionCarrier::Cookie {
                name,
                permanent,
                path,
            } => {
                let cookie = SetCookie {
                    name,
                    value: &token,
                    path,
                    max_age: self.absolute_timeout.filter(|_| *permanent),
                    secure,
                };
                Some((header::SET_COOKIE, cookie.header()?))
            }
        }
    }
}

fn hexadecimal(digits: &str) -> Option<u64> {
    let plain = (1..=16).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    plain.then(|| u64::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn by_cookie(permanent: bool, absolute_timeout: Option<Duration>) -> SessionPersistence {
        SessionPersistence {
            carrier: SessionCarrier::Cookie {
                name: "s".into(),
                permanent,
                path: "/".into(),
            },
            absolute_timeout,
        }
    }

    fn sent(token: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::try_from(format!("a=b; s={token}")).unwrap();
        headers.insert(header::COOKIE, value);
        headers
    }

    #[test]
    fn a_session_leads_back_to_its_endpoint_by_cookie_or_header() {
        let (name, value) = by_cookie(false, None).begin(7, 100, false).unwrap();
        assert_eq!(
            (name, value.to_str().unwrap()),
            (header::SET_COOKIE, "s=0000000000000007; Path=/; HttpOnly")
        );
        assert_eq!(
            by_cookie(false, None).tag(&sent("0000000000000007"), 100),
            Some(7)
        );
        let by_header = SessionPersistence {
            carrier: SessionCarrier::Header(HeaderName::from_static("x-session")),
            absolute_timeout: None,
        };
        let begun = by_header.begin(u64::MAX, 100, true).unwrap();
        let headers: HeaderMap = [begun].into_iter().collect();
        assert_eq!(by_header.tag(&headers, 200), Some(u64::MAX));
    }

    #[test]
    fn a_permanent_cookie_lives_as_long_as_the_session_and_another_as_long_as_the_browser() {
        let hour = Some(Duration::from_secs(3600));
        let text = |permanent| {
            let (_, value) = by_cookie(permanent, hour).begin(7, 16, true).unwrap();
            value.to_str().unwrap().to_owned()
        };
        assert_eq!(
            text(true),
            "s=0000000000000007-10; Path=/; Max-Age=3600; HttpOnly; Secure"
        );
        assert_eq!(text(false), "s=0000000000000007-10; Path=/; HttpOnly; Secure");
    }

    #[test]
    fn a_token_that_is_over_or_makes_no_sense_is_no_session() {
        let minute = by_cookie(false, Some(Duration::from_secs(60)));
        let tag = |token: &str, now| minute.tag(&sent(token), now);
        assert_eq!(tag("0000000000000007-64", 100 + 59), Some(7));
        assert_eq!(tag("0000000000000007-64", 100 + 60), None);
        assert_eq!(tag("0000000000000007-64", 100 - 61), None);
        // Without a beginning it could go on for ever.
        assert_eq!(tag("0000000000000007", 100), None);
        let endless = by_cookie(false, None);
        let senseless = [
            "",
            "7",
            "000000000000000g",
            "+000000000000007",
            "00000000000000007",
            "0000000000000007-",
            "-64",
        ];
        for token in senseless {
            assert_eq!(endless.tag(&sent(token), 100), None, "{token}");
        }
        assert_eq!(endless.tag(&HeaderMap::new(), 100), None);
    }
}
