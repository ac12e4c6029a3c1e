//! Names inside a namespace without a name server: a hosts file for each workload and what goes with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Largest hosts file, in bytes; at about 100 bytes a service this is some ten thousand of them.
pub const DEFAULT_LIMIT: usize = 1 << 20;

/// Longest name, in bytes (RFC 1035, 2.3.4).
const NAME_LIMIT: usize = 253;

/// Longest label of a name, in bytes (RFC 1035, 2.3.4).
const LABEL_LIMIT: usize = 63;

/// A resolv.conf under which a name that is in no file fails at once: nothing listens there.
pub const RESOLV_CONF: &str = "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n";

/// A resolv.conf that names these resolvers, and domains to append to short names.
pub fn resolv_conf(resolvers: &[IpAddr], search: &[String]) -> String {
    let mut out = String::new();
    for resolver in resolvers {
        let _ = writeln!(out, "nameserver {resolver}");
    }
    if !search.is_empty() {
        let _ = writeln!(out, "search {}", search.join(" "));
    }
    out
}

/// Why a hosts file was not rewritten; its old content stays.
#[derive(Debug, thiserror::Error)]
pub enum NamesError {
    /// It would hold something no resolver could read, or that reads as another line.
    #[error("cannot write {name:?} to a hosts file: expected letters, digits, '-', '_' and '.'")]
    Name {
        /// The text.
        name: String,
    },
    /// It would be too large.
    #[error("cannot write a hosts file of {size} bytes: the limit is {limit}")]
    TooLarge {
        /// What was asked for.
        size: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The file could not be written.
    #[error("cannot write the hosts file {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// All the names a workload can resolve.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts {
    by_address: BTreeMap<IpAddr, BTreeSet<String>>,
}

impl Hosts {
    /// Only the names of loopback, and the workload's own host name at its own address.
    pub fn new(hostname: &str, address: IpAddr) -> Result<Self, NamesError> {
        let mut hosts = Self::default();
        hosts.add([127, 0, 0, 1].into(), "localhost")?;
        for name in ["localhost", "ip6-localhost", "ip6-loopback"] {
            hosts.add(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), name)?;
        }
        hosts.add(address, hostname)?;
        Ok(hosts)
    }

    /// Adds one name.
    pub fn add(&mut self, address: IpAddr, name: &str) -> Result<(), NamesError> {
        if !is_name(name) {
            return Err(NamesError::Name {
                name: name.to_owned(),
            });
        }
        self.by_address
            .entry(address)
            .or_default()
            .insert(name.to_owned());
        Ok(())
    }

    /// Adds all the names a service has for somebody in namespace `from`, the bare one only at home.
    pub fn add_service(
        &mut self,
        address: IpAddr,
        service: &Service<'_>,
        from: &str,
    ) -> Result<(), NamesError> {
        let Service {
            name,
            namespace,
            cluster_domain,
        } = service;
        if *namespace == from {
            self.add(address, name)?;
        }
        self.add(address, &format!("{name}.{namespace}"))?;
        self.add(address, &format!("{name}.{namespace}.svc"))?;
        self.add(address, &format!("{name}.{namespace}.svc.{cluster_domain}"))
    }

    /// The file's text, sorted by address, one name a line since resolvers limit a line's length.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for (address, names) in &self.by_address {
            for name in names {
                let _ = writeln!(out, "{address} {name}");
            }
        }
        out
    }
}

/// What a service is called in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service<'a> {
    /// Its own name.
    pub name: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// What the cluster's names end in, usually `cluster.local`.
    pub cluster_domain: &'a str,
}

fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LABEL_LIMIT).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    name.len() <= NAME_LIMIT && name.split('.').all(is_label)
}

/// A hosts file that a workload sees by bind mount, so that it must stay the same file for ever.
#[derive(Debug)]
pub struct HostsFile {
    path: PathBuf,
    file: File,
    written: String,
    length: usize,
    limit: usize,
}

impl HostsFile {
    /// Makes it with its first content, readable to everybody; an earlier one is emptied.
    pub fn create(path: &Path, hosts: &Hosts, limit: usize) -> Result<Self, NamesError> {
        let failed = |source| NamesError::Write {
            path: path.to_owned(),
            source,
        };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            // Nobody reads it yet; from here on it never shrinks.
            .truncate(true)
            .mode(0o644)
            .open(path)
            .map_err(failed)?;
        let mut this = Self {
            path: path.to_owned(),
            file,
            written: String::new(),
            length: 0,
            limit,
        };
        this.rewrite(hosts)?;
        Ok(this)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the content in one write and says whether it changed anything.
    ///
    /// A shorter text is padded with empty lines: a reader never finds the file empty or cut off, as it would
    /// between a truncation and a write.
    pub fn rewrite(&mut self, hosts: &Hosts) -> Result<bool, NamesError> {
        let text = hosts.render();
        if text.len() > self.limit {
            return Err(NamesError::TooLarge {
                size: text.len(),
                limit: self.limit,
            });
        }
        if text == self.written {
            return Ok(false);
        }
        let length = self.length.max(text.len());
        let padded = format!("{text}{}", "\n".repeat(length - text.len()));
        self.file
            .write_all_at(padded.as_bytes(), 0)
            .map_err(|source| NamesError::Write {
                path: self.path.clone(),
                source,
            })?;
        self.length = length;
        self.written = text;
        Ok(true)
    }
}

/// The machine's nsswitch.conf with files asked first for hosts; nothing if it does so already.
///
/// `systemd-resolved` and the like would answer from outside the namespace.
pub fn nsswitch(machine: &str) -> Option<String> {
    let is_hosts = |line: &str| line.trim_start().starts_with("hosts:");
    let current = machine.lines().rfind(|line| is_hosts(line));
    let first = current.and_then(|line| line.split_whitespace().nth(1));
    if first == Some("files") {
        return None;
    }
    let mut text: String = machine
        .lines()
        .filter(|line| !is_hosts(line))
        .map(|line| format!("{line}\n"))
        .collect();
    text.push_str("hosts: files dns\n");
    Some(text)
}

#[cfg(test)]
mod tests;
