//! What a verified token says.

use std::borrow::Cow;
use std::fmt;

use crate::base64url;
use crate::document::{Document, Member, Node, Span};
use crate::number::Number;

/// Claims whose string is a list of words with spaces between them, in Istio whatever `spaceDelimitedClaims` adds.
pub const SPACE_DELIMITED: [&str; 2] = ["scope", "permission"];

/// The claims of a token whose signature, issuer, audience and times were checked; made by
/// [`verify`](crate::verify) alone.
pub struct Claims {
    document: Document,
}

impl Claims {
    pub(crate) fn new(document: Document) -> Self {
        Self { document }
    }

    fn root(&self) -> Object<'_> {
        Object::root(&self.document)
    }

    /// The claim at `path`, one name for each level: `["a", "b"]` for `request.auth.claims[a][b]`.
    pub fn at<N: AsRef<str>>(&self, path: &[N]) -> Option<Claim<'_>> {
        let (last, above) = path.split_last()?;
        let mut object = self.root();
        for name in above {
            let Claim::Object(next) = object.member(name.as_ref())? else {
                return None;
            };
            object = next;
        }
        object.member(last.as_ref())
    }

    /// The claim of that name, else the nested one that it names with dots between the levels, as Istio's
    /// `outputClaimToHeaders` writes it.
    pub fn named(&self, name: &str) -> Option<Claim<'_>> {
        if let Some(claim) = self.root().member(name) {
            return Some(claim);
        }
        let mut names = name.split('.');
        let first = self.root().member(names.next()?)?;
        names.try_fold(first, |claim, name| match claim {
            Claim::Object(object) => object.member(name),
            _ => None,
        })
    }

    /// The strings of the claim at `path` for matching: a string is one, a list has those of its entries that are strings,
    /// and anything else has none. `split` cuts strings at spaces; it is for claims of one level that are in
    /// [`SPACE_DELIMITED`] or in `spaceDelimitedClaims`.
    pub fn texts<N: AsRef<str>>(&self, path: &[N], split: bool) -> impl Iterator<Item = &str> {
        let claim = self.at(path);
        let (text, list) = (claim.and_then(Claim::text), claim.and_then(Claim::list));
        let words = text.into_iter().flat_map(move |text| {
            text.split(move |letter| split && letter == ' ')
                .filter(move |word| !split || !word.is_empty())
        });
        words.chain(list.into_iter().flat_map(List::texts))
    }

    /// `iss`.
    pub fn issuer(&self) -> Option<&str> {
        self.root().member("iss")?.text()
    }

    /// `sub`.
    pub fn subject(&self) -> Option<&str> {
        self.root().member("sub")?.text()
    }

    /// `iss/sub`, Istio's `request.auth.principal`; `None` when either is missing or empty.
    pub fn principal(&self) -> Option<String> {
        let named = |text: &&str| !text.is_empty();
        let (issuer, subject) = (self.issuer().filter(named)?, self.subject().filter(named)?);
        Some(format!("{issuer}/{subject}"))
    }

    /// `aud`, Istio's `request.auth.audiences`.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        self.texts(&["aud"], false)
    }

    /// `azp`, Istio's `request.auth.presenter`.
    pub fn presenter(&self) -> Option<&str> {
        self.root().member("azp")?.text()
    }

    /// The members of the payload by name, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Claim<'_>)> {
        self.root().iter()
    }

    /// `exp` in whole seconds since 1970, fractions cut off; `None` for a token that never expires.
    pub fn expiry_secs(&self) -> Option<u64> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let whole = |seconds: f64| seconds as u64;
        self.root().member("exp")?.date().map(whole)
    }

    /// The payload in base64url as it was sent, Istio's `outputPayloadToHeader`.
    pub fn encoded_payload(&self) -> String {
        // Only one spelling is read, so this is it.
        base64url::encode(self.document.json().as_bytes())
    }

    /// The payload's JSON as it was sent.
    pub fn json(&self) -> &str {
        self.document.json()
    }
}

/// Claims are about people.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims").finish_non_exhaustive()
    }
}

/// One claim, or a part of one.
#[derive(Clone, Copy)]
pub enum Claim<'c> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    Text(&'c str),
    /// A list.
    List(List<'c>),
    /// An object.
    Object(Object<'c>),
}

impl<'c> Claim<'c> {
    fn of(document: &'c Document, node: Node) -> Self {
        match node {
            Node::Null => Self::Null,
            Node::Bool(value) => Self::Bool(value),
            Node::Number(number) => Self::Number(number),
            Node::Text(span) => Self::Text(document.text(span)),
            Node::List(span) => Self::List(List { document, span }),
            Node::Object(span) => Self::Object(Object { document, span }),
        }
    }

    /// The string, if it is one.
    pub fn text(self) -> Option<&'c str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The list, if it is one.
    pub fn list(self) -> Option<List<'c>> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// The seconds since 1970, if it is a NumericDate.
    pub(crate) fn date(self) -> Option<f64> {
        match self {
            Self::Number(number) => number.date(),
            _ => None,
        }
    }

    /// What a header may carry of it (Istio's `outputClaimToHeaders`): a string, number or boolean. `None` for anything
    /// else, for an empty string, and for a string with control characters, which could end the header.
    pub fn header_value(self) -> Option<Cow<'c, str>> {
        match self {
            Self::Text(text) => {
                let safe = !text.is_empty() && !text.chars().any(char::is_control);
                safe.then_some(Cow::Borrowed(text))
            }
            Self::Bool(true) => Some("true".into()),
            Self::Bool(false) => Some("false".into()),
            Self::Number(number) => Some(number.to_string().into()),
            Self::Null | Self::List(_) | Self::Object(_) => None,
        }
    }
}

/// Says what kind of claim it is and not what is in it.
impl fmt::Debug for Claim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Bool(_) => "Bool",
            Self::Number(_) => "Number",
            Self::Text(_) => "Text",
            Self::List(_) => "List",
            Self::Object(_) => "Object",
        })
    }
}

/// A list in a claim.
#[derive(Clone, Copy)]
pub struct List<'c> {
    document: &'c Document,
    span: Span,
}

impl<'c> List<'c> {
    /// How many entries.
    pub fn len(self) -> usize {
        self.span.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The entries in their order.
    pub fn iter(self) -> impl Iterator<Item = Claim<'c>> {
        let Self { document, span } = self;
        let claim = move |member: &Member| Claim::of(document, member.value);
        document.members(span).iter().map(claim)
    }

    /// The entries that are strings, in their order.
    pub fn texts(self) -> impl Iterator<Item = &'c str> {
        self.iter().filter_map(Claim::text)
    }
}

/// An object in a claim.
#[derive(Clone, Copy)]
pub struct Object<'c> {
    document: &'c Document,
    span: Span,
}

impl<'c> Object<'c> {
    pub(crate) fn root(document: &'c Document) -> Self {
        let span = document.root();
        Self { document, span }
    }

    /// The member of that name.
    pub fn member(self, name: &str) -> Option<Claim<'c>> {
        let node = self.document.member(self.span, name)?;
        Some(Claim::of(self.document, node))
    }

    /// The members by name, in the order of their names.
    pub fn iter(self) -> impl Iterator<Item = (&'c str, Claim<'c>)> {
        let Self { document, span } = self;
        let named = move |member: &Member| (document.text(member.name), Claim::of(document, member.value));
        document.members(span).iter().map(named)
    }
}
