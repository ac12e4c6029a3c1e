//! Resolution of one name to its addresses, over the same resolvers as everything else.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};

use crate::answer::Transport;
use crate::names::{MAX_ADDRESSES, NameError, normal};
use crate::question::Head;
use crate::upstream::{Outward, Upstream, UpstreamError};

/// Shortest time that addresses are used before they are asked for again.
pub const MIN_TTL: Duration = Duration::from_secs(5);

/// Longest time that addresses are used before they are asked for again.
pub const MAX_TTL: Duration = Duration::from_secs(3600);

/// Most aliases that are followed, within one answer and over several.
const MAX_ALIASES: usize = 8;

/// What we take over UDP; larger answers come over TCP (RFC 9715: no fragments).
const UDP_PAYLOAD: u16 = 1232;

/// Why a name has no addresses.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// It is no name.
    #[error("resolve a name")]
    Name(#[from] NameError),
    /// No resolver answered.
    #[error("resolve {host}")]
    Upstream {
        /// The name.
        host: String,
        /// What happened.
        source: UpstreamError,
    },
    /// The name does not exist.
    #[error("resolve {host}: no such name")]
    NoSuchName {
        /// The name.
        host: String,
    },
    /// The name exists and has no address.
    #[error("resolve {host}: it has no address")]
    NoAddress {
        /// The name.
        host: String,
    },
    /// The resolver cannot or will not say.
    #[error("resolve {host}: the resolver answers with response code {code}")]
    Refused {
        /// The name.
        host: String,
        /// The code (RFC 1035, 4.1.1: 2 is server failure, 5 refused).
        code: u16,
    },
    /// The answer is no message.
    #[error("resolve {host}: the answer cannot be read")]
    Unreadable {
        /// The name.
        host: String,
    },
    /// The aliases go in a circle or are too many.
    #[error("resolve {host}: more than {MAX_ALIASES} aliases")]
    Aliases {
        /// The name.
        host: String,
    },
}

/// What a name resolves to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Its addresses of both families, sorted, at least one and at most [`MAX_ADDRESSES`].
    pub addresses: Vec<IpAddr>,
    /// How long they hold: the shortest time on the way, within [`MIN_TTL`] and [`MAX_TTL`].
    pub ttl: Duration,
}

/// Resolves names. Cheap to clone; it caches nothing.
#[derive(Debug, Clone)]
pub struct Resolver {
    upstream: Arc<Upstream>,
}

impl Resolver {
    /// One with resolvers of its own, or with those of a server.
    #[must_use]
    pub fn new(upstream: Arc<Upstream>) -> Self {
        Self { upstream }
    }

    /// One that asks these resolvers.
    #[must_use]
    pub fn over(resolvers: &[SocketAddr], outward: Outward) -> Self {
        Self::new(Arc::new(Upstream::new(
            resolvers,
            outward,
            Upstream::DEFAULT_TIMEOUT,
        )))
    }

    /// Resolves a full name; search domains are not applied. An address in letters is itself. One family that fails
    /// does not spoil the other.
    ///
    /// # Errors
    /// When neither family has an address; the reason of IPv4 if both have one.
    pub async fn resolve(&self, host: &str) -> Result<Resolved, ResolveError> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(Resolved {
                addresses: vec![address],
                ttl: MAX_TTL,
            });
        }
        let host = normal(host)?;
        let (v4, v6) = tokio::join!(
            self.family(&host, RecordType::A),
            self.family(&host, RecordType::AAAA)
        );
        let (mut found, ttl) = match (v4, v6) {
            (Ok(v4), Ok(v6)) => merge(v4, v6),
            (Ok(one), Err(_)) | (Err(_), Ok(one)) => one,
            (Err(error), Err(_)) => return Err(error),
        };
        if found.is_empty() {
            return Err(ResolveError::NoAddress { host });
        }
        let addresses: Vec<IpAddr> = std::iter::from_fn(|| found.pop_first())
            .take(MAX_ADDRESSES)
            .collect();
        let ttl = Duration::from_secs(ttl.into()).clamp(MIN_TTL, MAX_TTL);
        Ok(Resolved { addresses, ttl })
    }

    /// The addresses of one family. Aliases that the resolver did not follow are asked for.
    async fn family(&self, host: &str, kind: RecordType) -> Result<Addresses, ResolveError> {
        let mut name = full(host)?;
        let mut ttl = u32::MAX;
        let mut aliases = 0;
        loop {
            let message = self.ask(host, &name, kind).await?;
            let before = name.clone();
            let found = read(&message, &mut name, &mut ttl, &mut aliases);
            if !found.is_empty() || name == before {
                return Ok((found, ttl));
            }
            if aliases >= MAX_ALIASES {
                return Err(ResolveError::Aliases {
                    host: host.to_owned(),
                });
            }
        }
    }

    async fn ask(&self, host: &str, name: &Name, kind: RecordType) -> Result<Message, ResolveError> {
        let unreadable = || ResolveError::Unreadable {
            host: host.to_owned(),
        };
        let query = query(name, kind).ok_or_else(unreadable)?;
        let mut answer = self.exchange(host, &query, Transport::Udp).await?;
        if Head::read(&answer).is_some_and(|head| head.is_truncated) {
            answer = self.exchange(host, &query, Transport::Tcp).await?;
        }
        let message = Message::from_vec(&answer).map_err(|_| unreadable())?;
        match message.metadata.response_code {
            ResponseCode::NoError => Ok(message),
            // Aliases of a name that does not exist may still be in the answer; they lead nowhere.
            ResponseCode::NXDomain => Err(ResolveError::NoSuchName {
                host: host.to_owned(),
            }),
            code => Err(ResolveError::Refused {
                host: host.to_owned(),
                code: code.into(),
            }),
        }
    }

    async fn exchange(
        &self,
        host: &str,
        query: &[u8],
        transport: Transport,
    ) -> Result<Vec<u8>, ResolveError> {
        self.upstream
            .exchange(query, transport)
            .await
            .map_err(|source| ResolveError::Upstream {
                host: host.to_owned(),
                source,
            })
    }
}

/// Addresses and how long they hold, in seconds.
type Addresses = (BTreeSet<IpAddr>, u32);

fn merge(one: Addresses, other: Addresses) -> Addresses {
    let (mut found, ttl) = one;
    // A family without addresses has no time of its own.
    let ttl = match (found.is_empty(), other.0.is_empty()) {
        (false, false) => ttl.min(other.1),
        (true, _) => other.1,
        (false, true) => ttl,
    };
    found.extend(other.0);
    (found, ttl)
}

fn full(host: &str) -> Result<Name, NameError> {
    Name::from_ascii(format!("{host}.")).map_err(|_| NameError::Invalid {
        name: host.to_owned(),
    })
}

fn query(name: &Name, kind: RecordType) -> Option<Vec<u8>> {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name.clone(), kind));
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_PAYLOAD);
    message.set_edns(edns);
    message.to_vec().ok()
}

/// Follows the aliases in one answer from `name` on, and gives the addresses at their end. Records of other names are
/// nobody's business here (RFC 5452, 6).
fn read(message: &Message, name: &mut Name, ttl: &mut u32, aliases: &mut usize) -> BTreeSet<IpAddr> {
    let records = || {
        message
            .answers
            .iter()
            .filter(|record| record.dns_class == DNSClass::IN)
    };
    while *aliases < MAX_ALIASES {
        let alias = records().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == *name => Some((target.0.clone(), record.ttl)),
            _ => None,
        });
        let Some((target, holds)) = alias else { break };
        *name = target;
        *ttl = (*ttl).min(holds);
        *aliases += 1;
    }
    let own: Vec<_> = records().filter(|record| record.name == *name).collect();
    own.iter()
        .filter_map(|record| {
            let address = match &record.data {
                RData::A(address) => IpAddr::V4(address.0),
                RData::AAAA(address) => IpAddr::V6(address.0),
                _ => return None,
            };
            *ttl = (*ttl).min(record.ttl);
            Some(address)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn follow(bytes: &[u8]) -> usize {
        let Ok(message) = Message::from_vec(bytes) else {
            return 0;
        };
        let (mut ttl, mut aliases) = (u32::MAX, 0);
        let mut name = Name::from_ascii("a.example.com.").expect("it is a name");
        read(&message, &mut name, &mut ttl, &mut aliases);
        aliases
    }

    #[test]
    fn aliases_in_a_circle_are_followed_no_further_than_the_limit() {
        // a.example.com. is an alias of itself: both names point at the question.
        let mut bytes = b"\x00\x07\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00".to_vec();
        bytes.extend(b"\x01a\x07example\x03com\x00\x00\x01\x00\x01");
        bytes.extend(b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x1e\x00\x02\xc0\x0c");
        assert_eq!(follow(&bytes), MAX_ALIASES);
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(
            counts in proptest::array::uniform4(0_u8..3),
            rest in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut bytes = vec![0, 7, 0x81, 0x80];
            bytes.extend(counts.iter().flat_map(|count| [0, *count]));
            bytes.extend(rest);
            prop_assert!(follow(&bytes) <= MAX_ALIASES);
        }
    }
}
