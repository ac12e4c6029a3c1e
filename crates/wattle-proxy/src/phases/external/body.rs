//! The beginning of a body, read to be shown and passed on all the same.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use wattle_http::{BodyError, Frame, Kept, Request};
use wattle_model::{CheckedBody, Reason};

use super::Denial;
use crate::phases::exchange;
use crate::phases::limit::Refused;

/// What is shown must be there within so long: no client holds a request open by never sending its body.
const PATIENCE: Duration = Duration::from_secs(300);

/// What of a body is shown.
#[derive(Debug, PartialEq)]
pub(super) struct Shown {
    pub(super) bytes: Bytes,
    /// Not all of it.
    pub(super) cut: bool,
    pub(super) as_bytes: bool,
}

/// Reads as much as is to be shown and leaves the body as if nobody had; `None` for a tunnel, which has no body.
///
/// A body that may be cut is waited for until it ends or is long enough.
pub(super) async fn shown(wanted: CheckedBody, request: &mut Request) -> Result<Option<Shown>, Refused> {
    if request.head.asks_for_tunnel() {
        return Ok(None);
    }
    let most = wanted.max_bytes as usize;
    let announced = request.body.remaining();
    if !wanted.allow_partial && announced.is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    // What is kept is bounded by what is read here: at most one frame more than is shown.
    let kept = Kept::new(std::mem::take(&mut request.body), usize::MAX);
    let beginning = tokio::time::timeout(PATIENCE, beginning(&kept, most, wanted.allow_partial)).await;
    let mut bytes = beginning
        .map_err(|_| Reason::RequestBodyTimeout)?
        .map_err(|error| exchange::body_reason(&error))?;
    let all = kept.is_read() && bytes.len() <= most;
    if bytes.len() > most && !wanted.allow_partial {
        return Err(too_large());
    }
    bytes.truncate(most);
    request.body = kept.body().unwrap_or_default();
    Ok(Some(Shown {
        bytes: bytes.freeze(),
        cut: !all,
        as_bytes: wanted.as_bytes,
    }))
}

/// At least `most` bytes, and more where all must be shown: one that is too many tells.
async fn beginning(kept: &Kept, most: usize, partial: bool) -> Result<BytesMut, BodyError> {
    let mut bytes = BytesMut::new();
    let Some(mut reader) = kept.body() else {
        return Ok(bytes);
    };
    while bytes.len() <= most && !(partial && bytes.len() == most) {
        match reader.next().await {
            Some(Ok(Frame::Data(data))) => bytes.extend_from_slice(&data),
            Some(Ok(Frame::Trailers(_))) | None => break,
            Some(Err(error)) => return Err(error),
        }
    }
    Ok(bytes)
}

fn too_large() -> Refused {
    Refused::external(Reason::ExternalDenied, "body_too_large", Denial::of(413))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http::Method;
    use wattle_http::{Body, RequestHead};

    use super::*;

    fn wanted(allow_partial: bool) -> CheckedBody {
        CheckedBody {
            max_bytes: 4,
            allow_partial,
            as_bytes: false,
        }
    }

    /// A body that comes in these pieces.
    fn request(pieces: &[&'static str]) -> Request {
        let (sender, body) = Body::channel(8);
        for piece in pieces {
            sender
                .try_send(Frame::Data(Bytes::from_static(piece.as_bytes())))
                .unwrap();
        }
        sender.finish();
        Request::new(RequestHead::new(Method::POST, "a", "/"), body)
    }

    #[tokio::test]
    async fn the_application_gets_the_whole_body_whatever_was_shown() {
        for (pieces, text, cut) in [
            (&["ab", "cd"][..], "abcd", false),
            (&["ab", "cde", "f"], "abcd", true),
            (&["abcd", "e"], "abcd", true),
            (&[], "", false),
        ] {
            let mut request = request(pieces);
            let shown = shown(wanted(true), &mut request).await.unwrap().unwrap();
            assert_eq!(
                (&shown.bytes[..], shown.cut && cut),
                (text.as_bytes(), cut),
                "{pieces:?}"
            );
            let whole = request.body.collect(64).await.unwrap();
            assert_eq!(whole, pieces.concat().as_bytes());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_comes_is_not_waited_for_for_ever() {
        let (sender, body) = Body::channel(8);
        let mut request = request(&[]);
        request.body = body;
        let Err(Refused { reason, .. }) = shown(wanted(true), &mut request).await else {
            panic!("it was shown");
        };
        assert_eq!(reason, Reason::RequestBodyTimeout);
        drop(sender);
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_to_be_shown_whole_is_refused() {
        for (pieces, refused) in [(&["ab", "cd"][..], false), (&["ab", "cde"], true)] {
            let answer = shown(wanted(false), &mut request(pieces)).await;
            assert_eq!(answer.is_err(), refused, "{pieces:?}");
        }
        let mut announced = request(&[]);
        announced.body = Body::full("abcde");
        assert!(shown(wanted(false), &mut announced).await.is_err());
    }
}
