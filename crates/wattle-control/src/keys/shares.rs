//! Which addresses are asked for keys, and in whose share they count: no namespace takes all places. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Wanted;

/// Most addresses that keys are fetched from.
const MAX_ADDRESSES: usize = 256;
/// Most of them for policies of one namespace.
const MAX_OF_NAMESPACE: usize = 64;

/// The addresses that have a place.
#[derive(Default)]
pub(super) struct Shares {
    /// With the namespace in whose share each is: one of those that want it.
    places: BTreeMap<Arc<str>, Arc<str>>,
}

impl Shares {
    /// Takes in what is wanted now: who has a place keeps it. Gives those for whom there is none, and why.
    pub(super) fn follow(&mut self, wanted: &Wanted) -> Vec<(Arc<str>, String)> {
        self.places.retain(|address, namespace| {
            wanted
                .get(address)
                .is_some_and(|wish| wish.namespaces.contains(namespace))
        });
        let mut left_out = Vec::new();
        for (address, wish) in wanted {
            if self.places.contains_key(address) {
                continue;
            }
            let mut namespaces = wish.namespaces.iter();
            let room = namespaces.find(|namespace| self.taken(namespace) < MAX_OF_NAMESPACE);
            let problem = match room {
                Some(namespace) if self.places.len() < MAX_ADDRESSES => {
                    self.places.insert(address.clone(), namespace.clone());
                    continue;
                }
                Some(_) => format!("more than {MAX_ADDRESSES} addresses of keys: not fetched"),
                None => {
                    format!("more than {MAX_OF_NAMESPACE} addresses of keys in one namespace: not fetched")
                }
            };
            left_out.push((address.clone(), problem));
        }
        left_out
    }

    pub(super) fn has(&self, address: &str) -> bool {
        self.places.contains_key(address)
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = &Arc<str>> {
        self.places.keys()
    }

    fn taken(&self, by: &Arc<str>) -> usize {
        self.places.values().filter(|namespace| *namespace == by).count()
    }
}

#[cfg(test)]
mod tests {
    use wattle_compile::KeyAddress;

    use super::*;

    /// So many addresses for policies of a namespace.
    fn want(wanted: &mut Wanted, namespace: &str, count: usize) {
        for number in 0..count {
            let address = format!("https://{namespace}/{number:03}");
            wanted.insert(address.as_str().into(), by(&[namespace]));
        }
    }

    fn by(namespaces: &[&str]) -> KeyAddress {
        KeyAddress {
            namespaces: namespaces.iter().map(|name| Arc::from(*name)).collect(),
            ..KeyAddress::default()
        }
    }

    #[test]
    fn one_namespace_has_a_share_and_leaves_room_for_others() {
        let (mut shares, mut wanted) = (Shares::default(), Wanted::new());
        want(&mut wanted, "a", 1000);
        let left_out = shares.follow(&wanted);
        assert_eq!(left_out.len(), 1000 - MAX_OF_NAMESPACE);
        assert!(left_out[0].1.contains("more than 64 addresses"), "{left_out:?}");
        want(&mut wanted, "b", 1);
        assert_eq!(shares.follow(&wanted).len(), left_out.len());
        assert!(shares.has("https://b/000"));
    }

    #[test]
    fn an_address_counts_for_a_namespace_that_has_room_and_goes_on_when_that_one_wants_it_no_more() {
        let (mut shares, mut wanted) = (Shares::default(), Wanted::new());
        want(&mut wanted, "a", MAX_OF_NAMESPACE);
        wanted.insert("https://shared".into(), by(&["a", "b"]));
        assert!(shares.follow(&wanted).is_empty());
        wanted.retain(|address, _| !address.starts_with("https://a/"));
        wanted.insert("https://shared".into(), by(&["a"]));
        assert!(shares.follow(&wanted).is_empty());
        assert!(shares.has("https://shared"));
        wanted.clear();
        assert!(shares.follow(&wanted).is_empty());
        assert!(!shares.has("https://shared"));
    }

    #[test]
    fn all_namespaces_together_have_a_bound_and_who_has_a_place_keeps_it() {
        let (mut shares, mut wanted) = (Shares::default(), Wanted::new());
        for namespace in ["v", "w", "x", "y"] {
            want(&mut wanted, namespace, MAX_OF_NAMESPACE);
        }
        assert!(shares.follow(&wanted).is_empty());
        want(&mut wanted, "a", 1);
        let left_out = shares.follow(&wanted);
        let problem = "more than 256 addresses of keys: not fetched".to_owned();
        assert_eq!(left_out, [("https://a/000".into(), problem)]);
        wanted.remove("https://v/000");
        assert!(shares.follow(&wanted).is_empty());
        assert!(shares.has("https://a/000"));
    }
}
