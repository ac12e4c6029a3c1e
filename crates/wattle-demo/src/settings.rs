//! What a sample service is told by its environment.

use crate::load::PHASE_FILE;
use crate::upstream::Upstream;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Requests per second of the load, when nobody says: enough for a lively table, little for a laptop.
const DEFAULT_RATE: u32 = 150;
/// The most requests per second the load may be asked for.
const MAX_RATE: u32 = 10_000;
/// How long a call to another service may take, when nobody says.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// The programs of the sample application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// The front page, HTTP.
    Web,
    /// The products, HTTP.
    Catalog,
    /// The visitors' carts, HTTP.
    Cart,
    /// What people say, HTTP; version v2 adds ratings.
    Reviews,
    /// The stars, gRPC.
    Ratings,
    /// The store behind the carts, TCP, the client speaks first.
    Ledger,
    /// A banner and a greeting, TCP, the server speaks first.
    Greeter,
    /// The load generator.
    Load,
    /// Somebody who calls what is not theirs.
    Intruder,
}

impl Name {
    /// Every program, in the order of the shop's map.
    pub const ALL: [Name; 9] = [
        Name::Web,
        Name::Catalog,
        Name::Cart,
        Name::Reviews,
        Name::Ratings,
        Name::Ledger,
        Name::Greeter,
        Name::Load,
        Name::Intruder,
    ];

    /// The name as a command-line argument and as a host.
    pub fn as_str(self) -> &'static str {
        match self {
            Name::Web => "web",
            Name::Catalog => "catalog",
            Name::Cart => "cart",
            Name::Reviews => "reviews",
            Name::Ratings => "ratings",
            Name::Ledger => "ledger",
            Name::Greeter => "greeter",
            Name::Load => "load",
            Name::Intruder => "intruder",
        }
    }

    /// The port it listens on in the shop; 0 for the two that only call.
    pub fn port(self) -> u16 {
        match self {
            Name::Web => 8080,
            Name::Catalog | Name::Cart | Name::Reviews => 9080,
            Name::Ratings => 9090,
            Name::Ledger => 7070,
            Name::Greeter => 2525,
            Name::Load | Name::Intruder => 0,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Name {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<Self, SettingsError> {
        let found = Name::ALL.into_iter().find(|name| name.as_str() == text);
        found.ok_or_else(|| SettingsError::Name(text.to_owned()))
    }
}

/// What keeps a sample service from starting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// No such program.
    #[error(
        "found sample {0:?}, expected one of web, catalog, cart, reviews, ratings, ledger, greeter, load, intruder"
    )]
    Name(String),
    /// A variable that cannot be read.
    #[error("variable {variable}: found {found:?}, expected {expected}")]
    Variable {
        /// Its name.
        variable: String,
        /// Its value.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// How one sample service runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which program it is.
    pub name: Name,
    /// What this copy is called, from `WATTLE_INSTANCE`; default the program's name.
    pub instance: String,
    /// Its version, from `VERSION`; default `v1`.
    pub version: String,
    /// Where it listens, from `LISTEN`; default its port on every IPv4 address.
    pub listen: SocketAddr,
    /// How long one call to another service may take, from `TIMEOUT_MS`; default 5 s.
    pub timeout: Duration,
    /// Requests per second of the load, from `RATE`; 1 to 10,000, default 150.
    pub rate: u32,
    /// The file that names the load's phase, from `PHASE_FILE`; default `phase` in the directory `WATTLE_DATA`.
    pub phase_file: Option<PathBuf>,
    upstreams: Vec<Upstream>,
}

impl Settings {
    /// Reads the settings through `variable`, which answers for the environment.
    pub fn read(name: Name, variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let anywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), name.port());
        let timeout_ms = parsed(&variable, "TIMEOUT_MS", "milliseconds from 1 to 600000", |ms| {
            (1..=600_000).contains(ms)
        })?;
        let rate = parsed(&variable, "RATE", "requests per second from 1 to 10000", |rate| {
            (1..=MAX_RATE).contains(rate)
        })?;
        let phase_file = variable("PHASE_FILE").map(PathBuf::from);
        let in_data = || variable("WATTLE_DATA").map(|data| PathBuf::from(data).join(PHASE_FILE));
        Ok(Self {
            name,
            instance: word(&variable, "WATTLE_INSTANCE", name.as_str())?,
            version: word(&variable, "VERSION", "v1")?,
            listen: parsed(&variable, "LISTEN", "ADDRESS:PORT", |_| true)?.unwrap_or(anywhere),
            timeout: timeout_ms.map_or(DEFAULT_TIMEOUT, Duration::from_millis),
            rate: rate.unwrap_or(DEFAULT_RATE),
            phase_file: phase_file.or_else(in_data),
            upstreams: Name::ALL
                .into_iter()
                .map(|name| Upstream::read(name, &variable))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Where another service is reached.
    pub(crate) fn upstream(&self, name: Name) -> Upstream {
        let found = self.upstreams.iter().find(|upstream| upstream.name == name);
        found.cloned().unwrap_or_else(|| Upstream::usual(name))
    }

    /// `INSTANCE/VERSION`, as services sign their answers.
    pub(crate) fn signature(&self) -> String {
        format!("{}/{}", self.instance, self.version)
    }
}

type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

fn parsed<T: FromStr>(
    variable: Variable<'_>,
    name: &str,
    expected: &'static str,
    fits: impl Fn(&T) -> bool,
) -> Result<Option<T>, SettingsError> {
    let Some(text) = variable(name) else {
        return Ok(None);
    };
    let value = text.parse().ok().filter(fits);
    value.map(Some).ok_or(SettingsError::Variable {
        variable: name.to_owned(),
        found: text,
        expected,
    })
}

/// A value that goes into a header: visible, short, without a separator.
fn word(variable: Variable<'_>, name: &str, default: &str) -> Result<String, SettingsError> {
    let text = variable(name).unwrap_or_else(|| default.to_owned());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if text.is_empty() || text.len() > 63 || !text.bytes().all(plain) {
        let expected = "1 to 63 letters, digits, hyphens, dots or underscores";
        return Err(SettingsError::Variable {
            variable: name.to_owned(),
            found: text,
            expected,
        });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::read(Name::Web, |name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn without_variables_services_are_found_by_their_plain_names() {
        let settings = with(&[]).unwrap();
        assert_eq!(settings.upstream(Name::Reviews).authority, "reviews:9080");
        assert_eq!(settings.signature(), "web/v1");
        assert_eq!((settings.listen.port(), settings.rate), (8080, 150));
    }

    #[test]
    fn variables_override_host_instance_and_version() {
        let vars = [
            ("REVIEWS_URL", "http://127.0.0.1:1234"),
            ("WATTLE_INSTANCE", "web-1"),
            ("VERSION", "v7"),
        ];
        let settings = with(&vars).unwrap();
        assert_eq!(settings.upstream(Name::Reviews).authority, "127.0.0.1:1234");
        assert_eq!(settings.signature(), "web-1/v7");
    }

    #[test]
    fn a_variable_that_cannot_be_read_is_refused_by_name() {
        let bad = [
            ("RATE", "0"),
            ("RATE", "many"),
            ("LISTEN", "8080"),
            ("TIMEOUT_MS", "-1"),
            ("VERSION", "a\r\nb"),
            ("CART_URL", "cart"),
            ("CART_URL", "http://cart:9080/deeper"),
            ("LEDGER_URL", "http://ledger:7070"),
        ];
        for (name, value) in bad {
            let error = with(&[(name, value)]).unwrap_err();
            assert!(
                error.to_string().starts_with(&format!("variable {name}: ")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_program_that_does_not_exist_is_refused_with_the_list() {
        assert!(
            "shoes"
                .parse::<Name>()
                .unwrap_err()
                .to_string()
                .contains("reviews, ratings")
        );
        for name in Name::ALL {
            assert_eq!(name.as_str().parse(), Ok(name));
        }
    }

    #[test]
    fn the_phase_file_lies_in_the_data_directory_unless_named() {
        assert_eq!(
            with(&[("WATTLE_DATA", "/d")]).unwrap().phase_file,
            Some("/d/phase".into())
        );
        assert_eq!(
            with(&[("WATTLE_DATA", "/d"), ("PHASE_FILE", "/p")])
                .unwrap()
                .phase_file,
            Some("/p".into())
        );
    }
}
