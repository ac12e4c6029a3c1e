//! In which form the path of a request reaches the application (Istio MeshConfig `pathNormalization`).

use std::borrow::Cow;

use crate::path::{merged_slashes, normal_path, unescaped_slashes};

/// Most rounds until a path must stay as it is: what is decoded may be an escape in turn.
const MAX_ROUNDS: usize = 4;

/// What is done to the path of a request before anything is decided about it; each does what the one before it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathNormalization {
    /// Nothing: the application gets the path as it was sent. Policies compare its normal form all the same.
    #[default]
    AsSent,
    /// `\` is `/`, escapes of unreserved characters are decoded, dot segments resolved (Istio `BASE`).
    Base,
    /// Slashes beside each other become one (Istio `MERGE_SLASHES`).
    MergeSlashes,
    /// `%2F` and `%5C` are slashes (Istio `DECODE_AND_MERGE_SLASHES`).
    DecodeAndMergeSlashes,
}

impl PathNormalization {
    /// The path and query that the application gets.
    pub fn of<'a>(self, path_and_query: &'a str) -> Cow<'a, str> {
        if self == Self::AsSent {
            return Cow::Borrowed(path_and_query);
        }
        let path = path_and_query.split('?').next().unwrap_or_default();
        match self.path(path) {
            Cow::Borrowed(_) => Cow::Borrowed(path_and_query),
            Cow::Owned(normal) => Cow::Owned(normal + &path_and_query[path.len()..]),
        }
    }

    /// The path that the application gets; borrowed where it is as it was sent.
    pub fn path(self, path: &str) -> Cow<'_, str> {
        let mut now = Cow::Borrowed(path);
        if self == Self::AsSent {
            return now;
        }
        for _ in 0..MAX_ROUNDS {
            match self.round(&now) {
                Cow::Borrowed(_) => break,
                Cow::Owned(next) if next == *now => break,
                Cow::Owned(next) => now = Cow::Owned(next),
            }
        }
        now
    }

    fn round<'a>(self, path: &'a str) -> Cow<'a, str> {
        let then = |path: Cow<'a, str>, form: fn(&str) -> Cow<'_, str>| match form(&path) {
            Cow::Borrowed(_) => path,
            Cow::Owned(next) => Cow::Owned(next),
        };
        let mut now = Cow::Borrowed(path);
        if self == Self::DecodeAndMergeSlashes {
            now = then(now, unescaped_slashes);
        }
        now = then(now, normal_path);
        if self >= Self::MergeSlashes {
            now = then(now, merged_slashes);
        }
        now
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::PathNormalization::{self, *};

    const ALL: [PathNormalization; 4] = [AsSent, Base, MergeSlashes, DecodeAndMergeSlashes];

    #[test]
    fn each_mode_gives_the_path_that_istio_documents() {
        let table = [
            ("/a/b?c=//%2F", ["/a/b?c=//%2F"; 4]),
            ("/a/../b", ["/a/../b", "/b", "/b", "/b"]),
            ("/a\\b?\\", ["/a\\b?\\", "/a/b?\\", "/a/b?\\", "/a/b?\\"]),
            ("/%61//b", ["/%61//b", "/a//b", "/a/b", "/a/b"]),
            ("//a///b", ["//a///b", "//a///b", "/a/b", "/a/b"]),
            ("/a%2Fb", ["/a%2Fb", "/a%2Fb", "/a%2Fb", "/a/b"]),
            ("/a%2f..%5Cb", ["/a%2f..%5Cb", "/a%2f..%5Cb", "/a%2f..%5Cb", "/b"]),
            ("/a%252Fb", ["/a%252Fb"; 4]),
            (
                "/a/%2%45%2%45%2Fb",
                ["/a/%2%45%2%45%2Fb", "/a/..%2Fb", "/a/..%2Fb", "/b"],
            ),
            ("*", ["*"; 4]),
            ("", [""; 4]),
        ];
        for (sent, expected) in table {
            assert_eq!(ALL.map(|mode| mode.of(sent).into_owned()), expected, "{sent}");
        }
    }

    proptest! {
        #[test]
        fn a_path_is_the_same_after_another_time(path in "/[a-c./%25FEfe\\\\]{0,16}") {
            for mode in ALL {
                let once = mode.of(&path).into_owned();
                prop_assert_eq!(mode.of(&once).into_owned(), once.clone(), "{:?}", mode);
            }
        }
    }
}
