//! Which resolvers a machine asks, as its resolv.conf says.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::names::{MAX_SEARCH, normal};

/// Most resolvers that are asked; later ones are left out, as the C library does (resolv.conf(5), MAXNS).
pub const MAX_RESOLVERS: usize = 3;

/// Largest file that is read, in bytes.
const FILE_LIMIT: u64 = 64 << 10;

/// Port of every resolver: the file has no way to name another.
const RESOLVER_PORT: u16 = 53;

/// Why there are no resolvers.
#[derive(Debug, thiserror::Error)]
pub enum ResolvConfError {
    /// The file could not be read.
    #[error("cannot read resolvers from {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no such file.
    #[error("cannot read resolvers from {path}: larger than {FILE_LIMIT} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

/// What of a resolv.conf concerns a proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// Resolvers in order, at most [`MAX_RESOLVERS`]; none if the file names none.
    pub resolvers: Vec<SocketAddr>,
    /// Domains that a resolver appends, in order, at most [`MAX_SEARCH`]; the last such line counts.
    pub search: Vec<String>,
    /// Numbers of lines, from 1, that name a resolver or domain which cannot be used.
    pub unusable: Vec<usize>,
}

impl ResolvConf {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or is larger than 64 KiB.
    pub fn read(path: &Path) -> Result<Self, ResolvConfError> {
        let failed = |source| ResolvConfError::Read {
            path: path.to_owned(),
            source,
        };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(failed)?;
        file.take(FILE_LIMIT + 1)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        if bytes.len() as u64 > FILE_LIMIT {
            return Err(ResolvConfError::TooLarge {
                path: path.to_owned(),
            });
        }
        Ok(Self::parse(&String::from_utf8_lossy(&bytes)))
    }

    /// Reads the text of a file. What is not about resolvers or search domains is none of a proxy's business: the
    /// application's own resolver obeys it.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        for (index, line) in text.lines().enumerate() {
            let mut words = line.split_ascii_whitespace();
            let is_usable = match words.next() {
                Some("nameserver") => conf.add_resolver(words.next()),
                Some("search" | "domain") => conf.set_search(words),
                _ => true,
            };
            if !is_usable && conf.unusable.len() < MAX_RESOLVERS {
                conf.unusable.push(index + 1);
            }
        }
        conf
    }

    fn add_resolver(&mut self, word: Option<&str>) -> bool {
        // An address with a zone (`fe80::1%eth0`) needs the interface's number, which the text does not have.
        let Some(address) = word.and_then(|word| word.parse::<IpAddr>().ok()) else {
            return false;
        };
        let address = SocketAddr::new(address, RESOLVER_PORT);
        if self.resolvers.len() < MAX_RESOLVERS && !self.resolvers.contains(&address) {
            self.resolvers.push(address);
        }
        true
    }

    fn set_search<'a>(&mut self, words: impl Iterator<Item = &'a str>) -> bool {
        let mut is_usable = true;
        self.search.clear();
        for word in words.filter(|word| *word != ".") {
            match normal(word) {
                Ok(domain) if self.search.len() < MAX_SEARCH => self.search.push(domain),
                _ => is_usable = false,
            }
        }
        is_usable
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_pods_file_is_read() {
        let conf = ResolvConf::parse(
            "# made by the kubelet\nsearch shop.svc.cluster.local svc.cluster.local Cluster.Local.\n\
             nameserver 10.96.0.10\nnameserver\tfd00::10\noptions ndots:5\n; end\n",
        );
        assert_eq!(conf.resolvers, addresses(&["10.96.0.10:53", "[fd00::10]:53"]));
        assert_eq!(
            conf.search,
            ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"]
        );
        assert_eq!(conf.unusable, &[] as &[usize]);
    }

    #[test]
    fn what_is_too_much_is_left_out() {
        let conf = ResolvConf::parse(
            "nameserver 10.0.0.1\nnameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n\
             search a b c d e f g\n",
        );
        assert_eq!(
            conf.resolvers,
            addresses(&["10.0.0.1:53", "10.0.0.2:53", "10.0.0.3:53"])
        );
        assert_eq!(conf.search, ["a", "b", "c", "d", "e", "f"]);
        assert_eq!(conf.unusable, [6]);
    }

    #[test]
    fn the_last_search_line_counts_and_bad_lines_are_told() {
        let conf =
            ResolvConf::parse("domain a.example\nnameserver\nnameserver fe80::1%eth0\nsearch . b.example\n");
        assert_eq!(conf.search, ["b.example"]);
        assert_eq!(conf.unusable, [2, 3]);
        assert!(conf.resolvers.is_empty());
    }

    #[test]
    fn a_file_that_never_ends_is_refused() {
        let error = ResolvConf::read(Path::new("/dev/zero")).unwrap_err();
        assert!(matches!(error, ResolvConfError::TooLarge { .. }));
        let error = ResolvConf::read(Path::new("/nonexistent")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read resolvers from /nonexistent");
    }
}
