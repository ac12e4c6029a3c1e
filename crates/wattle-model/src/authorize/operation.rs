//! What is asked for.

use super::subject::Subject;
use super::unmet::{Unmet, Wanted, any_of, texts, without_http};
use crate::host::host_of;
use crate::{Operation, RequestFacts, TextMatch};

impl Operation {
    pub(super) fn unmet(&self, subject: &Subject<'_>) -> Option<Unmet<'_>> {
        self.port_unmet(subject.connection.port)
            .or_else(|| match subject.request {
                Some(request) => self.request_unmet(request, subject),
                None => self.tcp_unmet(subject),
            })
    }

    fn port_unmet(&self, port: u16) -> Option<Unmet<'_>> {
        if !self.ports.is_empty() && !self.ports.contains(&port) {
            return Some(Unmet::new("port", Wanted::Ports(&self.ports)));
        }
        self.not_ports
            .contains(&port)
            .then_some(Unmet::new("port", Wanted::NoPorts(&self.not_ports)))
    }

    fn request_unmet(&self, request: &RequestFacts<'_>, subject: &Subject<'_>) -> Option<Unmet<'_>> {
        let host = any_of("host", &self.hosts, &self.not_hosts, |list| {
            has_host(list, request.authority)
        });
        let method = || texts("method", Some(request.method), &self.methods, &self.not_methods);
        let path = || texts("path", Some(subject.path), &self.paths, &self.not_paths);
        let excluded = || texts("path", subject.lenient, &[], &self.not_paths);
        host.or_else(method).or_else(path).or_else(excluded)
    }

    fn tcp_unmet(&self, subject: &Subject<'_>) -> Option<Unmet<'_>> {
        let asks = |wanted: &[TextMatch], unwanted: &[TextMatch]| !wanted.is_empty() || !unwanted.is_empty();
        let host = without_http("host", subject.effect, asks(&self.hosts, &self.not_hosts));
        let method = || without_http("method", subject.effect, asks(&self.methods, &self.not_methods));
        let path = || without_http("path", subject.effect, asks(&self.paths, &self.not_paths));
        host.or_else(method).or_else(path)
    }
}

/// A host is meant with any port, unless the text was written with one.
fn has_host(list: &[TextMatch], authority: &str) -> bool {
    let host = host_of(authority);
    list.iter()
        .any(|text| text.matches_ignoring_case(host) || text.matches_ignoring_case(authority))
}
