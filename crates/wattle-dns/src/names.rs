//! The names one workload sees, and how one is found.
//!
//! The order is: the name itself, then the name without a search domain, then wildcards from the longest. A resolver
//! appends its search domains before it asks for a name as it was written, so `db.example.com` arrives first as
//! `db.example.com.shop.svc.cluster.local`. That is answered at once, as an alias of the real name (as Istio's agent does).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::outside::Outside;

mod error;

pub use error::NameError;

/// How long a client may keep an answer from the table, in seconds (Istio: 30).
pub const TTL: u32 = 30;

/// Most names of one table, short forms included.
pub const MAX_NAMES: usize = 65_536;

/// Most addresses of one host; over TCP they fit in one message.
pub const MAX_ADDRESSES: usize = 256;

/// Most search domains; musl and old resolvers use six.
pub const MAX_SEARCH: usize = 6;

/// Longest name, in bytes without the final dot (RFC 1035, 2.3.4).
const NAME_LIMIT: usize = 253;

/// Longest label of a name, in bytes (RFC 1035, 2.3.4).
const LABEL_LIMIT: usize = 63;

/// One name with its addresses, as whoever owns the table gives it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// The full name, or `*.` and a suffix for every name below it; a final dot counts for nothing.
    pub name: String,
    /// Short forms that are valid for the asking workload, such as `web` and `web.shop`; none for a wildcard.
    pub aliases: Vec<String>,
    /// IPv4 and IPv6 addresses, at most [`MAX_ADDRESSES`]; none means that the name exists and has no address.
    pub addresses: Vec<IpAddr>,
    /// The name that this one stands for, in the table or outside; with one it has no addresses of its own.
    pub stands_for: Option<String>,
}

/// All names a workload sees. Immutable: a new table replaces the old one whole.
#[derive(Debug, Default)]
pub struct Names {
    exact: HashMap<Box<str>, Arc<Known>>,
    /// By suffix, without the `*.`.
    wildcards: HashMap<Box<str>, Arc<Known>>,
    reverse: HashMap<IpAddr, Box<str>>,
    search: Vec<Box<str>>,
    /// What may be asked for outside; `None` is all.
    outside: Option<Outside>,
}

#[derive(Debug)]
struct Known {
    name: Box<str>,
    addresses: Vec<IpAddr>,
    stands_for: Option<Box<str>>,
}

/// A name that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'a> {
    /// The name without the search domain, if it was asked for with one: the answer is an alias of it.
    pub alias_of: Option<&'a str>,
    /// The host's addresses of both families.
    pub addresses: &'a [IpAddr],
    /// The name that it stands for.
    pub stands_for: Option<&'a str>,
}

impl Names {
    /// A table to fill, for a workload whose resolver appends `search`. Istio expands the first domain alone, the one
    /// a resolver tries first; each more costs a look-up for names that are not in the table.
    ///
    /// # Errors
    /// When a search domain is no name or there are more than [`MAX_SEARCH`].
    pub fn builder<S: AsRef<str>>(search: &[S]) -> Result<NamesBuilder, NameError> {
        if search.len() > MAX_SEARCH {
            return Err(NameError::Search { count: search.len() });
        }
        let search = search
            .iter()
            .map(|domain| normal(domain.as_ref()).map(String::into_boxed_str))
            .collect::<Result<_, _>>()?;
        Ok(NamesBuilder {
            names: Self {
                search,
                ..Self::default()
            },
        })
    }

    /// Finds a name, in small letters and without the final dot.
    #[must_use]
    pub fn find<'a>(&'a self, name: &'a str) -> Option<Found<'a>> {
        let direct = |known: &'a Arc<Known>| Found {
            alias_of: None,
            addresses: &known.addresses,
            stands_for: known.stands_for.as_deref(),
        };
        if let Some(known) = self.exact.get(name) {
            return Some(direct(known));
        }
        if let Some((short, known)) = self.unexpanded(name, |short| self.exact.get(short)) {
            return Some(alias(short, known));
        }
        if let Some(known) = self.wildcard(name) {
            return Some(direct(known));
        }
        self.unexpanded(name, |short| self.wildcard(short))
            .map(|(short, known)| alias(short, known))
    }

    /// The full name of the host with this address, the alphabetically first if there are several.
    #[must_use]
    pub fn name_of(&self, address: IpAddr) -> Option<&str> {
        self.reverse.get(&address).map(AsRef::as_ref)
    }

    /// Which names outside may be asked for; `None` is all.
    #[must_use]
    pub fn outside(&self) -> Option<&Outside> {
        self.outside.as_ref()
    }

    /// Whether a resolver may have made a name by appending a search domain.
    pub(crate) fn is_expanded(&self, name: &str) -> bool {
        self.search.iter().any(|domain| {
            name.strip_suffix(&**domain)
                .is_some_and(|short| short.ends_with('.'))
        })
    }

    /// Number of names, short forms and wildcards included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.exact.len() + self.wildcards.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn unexpanded<'a>(
        &'a self,
        name: &'a str,
        find: impl Fn(&'a str) -> Option<&'a Arc<Known>>,
    ) -> Option<(&'a str, &'a Arc<Known>)> {
        self.search.iter().find_map(|domain| {
            let short = name.strip_suffix(&**domain)?.strip_suffix('.')?;
            Some((short, find(short)?))
        })
    }

    /// The longest wildcard above a name; any number of labels stand for the `*` (as in Istio).
    fn wildcard(&self, name: &str) -> Option<&Arc<Known>> {
        if self.wildcards.is_empty() {
            return None;
        }
        name.match_indices('.')
            .find_map(|(dot, _)| self.wildcards.get(&name[dot + 1..]))
    }
}

fn alias<'a>(name: &'a str, known: &'a Arc<Known>) -> Found<'a> {
    Found {
        alias_of: Some(name),
        addresses: &known.addresses,
        stands_for: known.stands_for.as_deref(),
    }
}

/// A table that is being filled; by default for a resolver that appends nothing.
#[derive(Debug, Default)]
pub struct NamesBuilder {
    names: Names,
}

impl NamesBuilder {
    /// Adds one host; one that is refused leaves nothing behind.
    ///
    /// # Errors
    /// When a name is invalid or taken, or a bound is passed.
    pub fn add(&mut self, host: Host) -> Result<&mut Self, NameError> {
        let Host {
            name,
            aliases,
            mut addresses,
            stands_for,
        } = host;
        let stands_for = stands_for.as_deref().map(normal).transpose()?;
        if stands_for.is_some() {
            addresses.clear();
        }
        if addresses.len() > MAX_ADDRESSES {
            return Err(NameError::Addresses {
                name,
                count: addresses.len(),
            });
        }
        if self.names.len() + 1 + aliases.len() > MAX_NAMES {
            return Err(NameError::Full { name });
        }
        let known = Known {
            name: name.clone().into(),
            addresses,
            stands_for: stands_for.map(Into::into),
        };
        match name.strip_prefix("*.") {
            Some(suffix) => self.add_wildcard(suffix, &aliases, known),
            None => self.add_exact(&aliases, known),
        }?;
        Ok(self)
    }

    /// Keeps the workload to these names outside.
    pub fn keep_to(&mut self, outside: Outside) -> &mut Self {
        self.names.outside = Some(outside);
        self
    }

    /// The finished table.
    #[must_use]
    pub fn build(self) -> Names {
        self.names
    }

    fn add_wildcard(&mut self, suffix: &str, aliases: &[String], known: Known) -> Result<(), NameError> {
        let name = String::from(known.name.clone());
        if let Some(alias) = aliases.first() {
            let alias = alias.clone();
            return Err(NameError::WildcardAlias { name, alias });
        }
        let suffix = normal(suffix).map_err(|_| NameError::Invalid { name: name.clone() })?;
        free(&self.names.wildcards, &name, &suffix)?;
        let known = Known {
            name: format!("*.{suffix}").into(),
            ..known
        };
        self.names.wildcards.insert(suffix.into(), Arc::new(known));
        Ok(())
    }

    fn add_exact(&mut self, aliases: &[String], known: Known) -> Result<(), NameError> {
        let name = known.name.clone();
        let full = normal(&name)?;
        let mut all = vec![full.clone()];
        for alias in aliases {
            let alias = normal(alias)?;
            if !all.contains(&alias) {
                all.push(alias);
            }
        }
        for one in &all {
            free(&self.names.exact, &name, one)?;
        }
        for address in &known.addresses {
            let held = self
                .names
                .reverse
                .entry(*address)
                .or_insert_with(|| full.as_str().into());
            if *full < **held {
                *held = full.as_str().into();
            }
        }
        let known = Arc::new(Known {
            name: full.into(),
            ..known
        });
        for one in all {
            self.names.exact.insert(one.into(), known.clone());
        }
        Ok(())
    }
}

fn free(table: &HashMap<Box<str>, Arc<Known>>, host: &str, name: &str) -> Result<(), NameError> {
    match table.get(name) {
        None => Ok(()),
        Some(owner) => Err(NameError::Taken {
            host: host.to_owned(),
            name: name.to_owned(),
            owner: owner.name.to_string(),
        }),
    }
}

/// A name as the table holds it: small letters, no final dot.
pub(crate) fn normal(name: &str) -> Result<String, NameError> {
    let text = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let is_label = |label: &str| {
        (1..=LABEL_LIMIT).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if text.len() <= NAME_LIMIT && text.split('.').all(is_label) {
        return Ok(text);
    }
    Err(NameError::Invalid {
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests;
