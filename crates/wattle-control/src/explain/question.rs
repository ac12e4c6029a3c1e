//! What is asked.

use wattle_model::percent_decode;

/// Who sends what where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// `NAMESPACE/WORKLOAD`, a workload of namespace `default`, or a SPIFFE name.
    pub from: String,
    /// Method, default `GET`.
    pub method: String,
    /// `http://HOST[:PORT]/PATH`, `tcp://HOST:PORT` or without scheme.
    pub url: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Port instead of the URL's.
    pub port: Option<u16>,
    /// Claims of a token that it brings, as a JSON object; the token is assumed to be valid.
    pub claims: Option<String>,
}

/// Why a question cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExplainError {
    /// No such workload.
    #[error("there is no workload {0}{hint}", hint = nearest_hint(.1.as_deref()))]
    Source(String, Option<String>),
    /// Not a SPIFFE name.
    #[error("\"{0}\" is not a SPIFFE name: {1}")]
    Identity(String, String),
    /// Not a URL.
    #[error("\"{0}\" is not a URL: {1}")]
    Url(String, String),
    /// Not a method.
    #[error("\"{0}\" is not a method")]
    Method(String),
    /// Not a header.
    #[error("\"{0}\" is not a header, NAME:VALUE expected")]
    Header(String),
    /// Something in the query of the admin API.
    #[error("\"{0}\" is not expected in a question, one of from, method, url, header, port, claims is")]
    Parameter(String),
    /// Not the claims of a token.
    #[error("claims of a token cannot be read: {0}")]
    Claims(String),
    /// Not a port.
    #[error("\"{0}\" is not a port")]
    Port(String),
    /// Neither `ip:port` nor `host:port`.
    #[error("\"{0}\" is no destination")]
    Destination(String),
}

fn nearest_hint(nearest: Option<&str>) -> String {
    nearest
        .map(|nearest| format!(", is {nearest} meant?"))
        .unwrap_or_default()
}

impl Question {
    /// Reads the query of `GET /explain`: `from`, `method`, `url`, `port`, `claims` and any number of `header=NAME:VALUE`, percent-encoded.
    ///
    /// # Errors
    /// When a part is not one of these.
    pub fn from_query(query: &str) -> Result<Self, ExplainError> {
        let mut question = Self {
            method: "GET".to_owned(),
            ..Self::default()
        };
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let value = percent_decode(value).into_owned();
            match name {
                "from" => question.from = value,
                "method" => question.method = value,
                "url" => question.url = value,
                "port" => question.port = Some(value.parse().map_err(|_| ExplainError::Port(value))?),
                "claims" => question.claims = Some(value),
                "header" => {
                    let (name, content) = value
                        .split_once(':')
                        .ok_or_else(|| ExplainError::Header(value.clone()))?;
                    question
                        .headers
                        .push((name.trim().to_owned(), content.trim().to_owned()));
                }
                other => return Err(ExplainError::Parameter(other.to_owned())),
            }
        }
        Ok(question)
    }

    /// The query that [`Self::from_query`] reads back.
    pub fn to_query(&self) -> String {
        let mut parts = vec![
            ("from", self.from.clone()),
            ("method", self.method.clone()),
            ("url", self.url.clone()),
        ];
        parts.extend(self.port.map(|port| ("port", port.to_string())));
        parts.extend(self.claims.clone().map(|claims| ("claims", claims)));
        parts.extend(
            self.headers
                .iter()
                .map(|(name, value)| ("header", format!("{name}:{value}"))),
        );
        let encoded: Vec<_> = parts
            .iter()
            .map(|(name, value)| format!("{name}={}", encode(value)))
            .collect();
        encoded.join("&")
    }
}

fn encode(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b':' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_question_survives_its_query() {
        let question = Question {
            from: "default/a b&c".to_owned(),
            method: "POST".to_owned(),
            url: "http://reviews:9080/x?y=1&z=%20".to_owned(),
            headers: vec![("x-user".to_owned(), "jason & co".to_owned())],
            port: Some(81),
            claims: Some(r#"{"iss":"https://a","sub":"b&c"}"#.to_owned()),
        };
        assert_eq!(Question::from_query(&question.to_query()).unwrap(), question);
    }

    #[test]
    fn a_bad_query_is_refused_by_name() {
        assert_eq!(
            Question::from_query("form=x"),
            Err(ExplainError::Parameter("form".to_owned()))
        );
        assert_eq!(
            Question::from_query("header=x"),
            Err(ExplainError::Header("x".to_owned()))
        );
        assert_eq!(
            Question::from_query("port=x"),
            Err(ExplainError::Port("x".to_owned()))
        );
    }
}
