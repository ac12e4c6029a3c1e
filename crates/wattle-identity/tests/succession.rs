//! One authority after another, interrupted wherever it may be, and nobody is refused on the way.
#![allow(clippy::unwrap_used)]

mod common;

use std::{sync::Arc, time::Duration};

use common::{HOUR, Meeting, Mesh};
use wattle_identity::{
    BundleSet, ClientCertificates::Required, Expected, Replaced, RotationError, Seen, Stage, Succession,
    Svid, SvidRequest, TlsSettings, TrustBundle,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A succession that is written down and read back after every step.
struct Bench {
    mesh: Mesh,
    now: Succession,
}

impl Bench {
    fn new() -> Self {
        let mut mesh = Mesh::new("cluster.local");
        let other = Mesh::new("cluster.local").authority;
        let now = Succession::new(std::mem::replace(&mut mesh.authority, other));
        Self { mesh, now }
    }

    fn step(&mut self, next: Succession) {
        let (signing, phases) = (next.signing().to_pem(), next.phases_text());
        let domain = &self.mesh.trust_domain;
        let back = Succession::from_parts(domain, signing.as_bytes(), &phases).unwrap();
        assert_eq!(back.phases_text(), phases);
        assert_eq!((back.stage(), back.bundle()), (next.stage(), next.bundle()));
        self.now = back;
    }

    fn begin(&mut self, what: Replaced) {
        let next = self.now.begin(what, false, self.mesh.clock.now()).unwrap();
        self.step(next);
    }

    /// Whether it went on.
    fn advance(&mut self, seen: &Seen) -> bool {
        let next = self.now.advance(self.mesh.clock.now(), seen).unwrap();
        next.map(|next| self.step(next)).is_some()
    }

    fn svid(&self, account: &str) -> Svid {
        let id = self.mesh.id(account);
        let request = SvidRequest::new(&id).unwrap();
        let issued = self
            .now
            .signing()
            .sign(request.csr_pem(), &id, self.mesh.clock.now(), DAY);
        request.into_svid(&issued.unwrap().pem_blocks().concat()).unwrap()
    }

    fn live(&self, svids: &[&Svid]) -> Seen {
        let live = svids.iter().map(|svid| svid.issuer_id().unwrap().to_owned());
        Seen {
            live_issuers: live.collect(),
            ..Seen::default()
        }
    }

    fn meet(&self, client: (&Svid, &TrustBundle), server: (&Svid, &TrustBundle)) -> bool {
        let tls = |bundle: &TrustBundle| {
            TlsSettings::new(Arc::new(BundleSet::only(bundle.clone())), &[b"wattle"])
                .with_clock(self.mesh.clock.clone())
        };
        let expected = Expected::only(server.0.id().clone());
        let dialling = tls(client.1).client(client.0, expected).unwrap();
        let accepting = tls(server.1).server(server.0, Required).unwrap();
        Meeting::hold(dialling, accepting).succeeded()
    }
}

#[test]
fn at_every_step_of_a_new_root_old_and_new_workloads_meet() {
    let mut bench = Bench::new();
    let old_bundle = bench.now.bundle().unwrap();
    let old = bench.svid("web");
    bench.begin(Replaced::Root);
    let both = bench.now.bundle().unwrap();
    assert_eq!((bench.now.stage(), both.roots().len()), (Stage::Spreading, 2));
    assert_eq!(
        bench.svid("cart").issuer_id(),
        old.issuer_id(),
        "the old one signs until all know the new root"
    );
    // Whoever has heard of it and whoever has not yet.
    assert!(bench.meet((&old, &old_bundle), (&bench.svid("cart"), &both)));

    let unaware = Seen {
        unaware: 1,
        ..bench.live(&[&old])
    };
    assert!(!bench.advance(&unaware), "somebody does not know the new root");
    assert!(bench.advance(&bench.live(&[&old])));
    assert_eq!(bench.now.stage(), Stage::Renewing);
    let new = bench.svid("cart");
    assert_ne!(new.issuer_id(), old.issuer_id());
    assert!(bench.meet((&old, &both), (&new, &both)));
    assert!(bench.meet((&new, &both), (&old, &both)));

    assert!(
        !bench.advance(&bench.live(&[&old, &new])),
        "an old certificate is in use"
    );
    assert!(bench.advance(&bench.live(&[&new])));
    let new_bundle = bench.now.bundle().unwrap();
    assert_eq!((bench.now.stage(), new_bundle.roots().len()), (Stage::Steady, 1));
    assert!(bench.meet((&new, &both), (&new, &new_bundle)));
    assert!(
        !bench.meet((&old, &both), (&new, &new_bundle)),
        "the old root is believed no more"
    );
}

#[test]
fn nothing_is_waited_for_beyond_the_longest_life_of_a_certificate() {
    let mut bench = Bench::new();
    let old = bench.svid("web");
    bench.begin(Replaced::Root);
    let stuck = Seen {
        unaware: 7,
        unaware_connected: 7,
        ..bench.live(&[&old])
    };
    bench.mesh.clock.advance(DAY);
    assert!(!bench.advance(&stuck));
    bench.mesh.clock.advance(HOUR);
    assert!(bench.advance(&stuck), "all that is not renewed has ended");
    bench.mesh.clock.advance(DAY + HOUR);
    assert!(bench.advance(&stuck));
    assert_eq!(bench.now.stage(), Stage::Steady);
}

#[test]
fn who_is_not_connected_is_not_waited_for_where_that_is_asked() {
    let mut bench = Bench::new();
    let old = bench.svid("web");
    let next = bench
        .now
        .begin(Replaced::Root, true, bench.mesh.clock.now())
        .unwrap();
    bench.step(next);
    let seen = |connected| Seen {
        unaware: 3,
        unaware_connected: connected,
        ..bench.live(&[&old])
    };
    let (one, none) = (seen(1), seen(0));
    assert!(!bench.advance(&one));
    assert!(bench.advance(&none));
    let connected = Seen {
        connected_issuers: none.live_issuers.clone(),
        ..none.clone()
    };
    assert!(
        !bench.advance(&connected),
        "one who is connected holds an old certificate"
    );
    assert!(bench.advance(&none));
}

#[test]
fn holders_who_are_not_known_are_waited_for() {
    let mut bench = Bench::new();
    bench.begin(Replaced::Issuer);
    let incomplete = Seen {
        incomplete: true,
        ..Seen::default()
    };
    assert!(!bench.advance(&incomplete));
    bench.mesh.clock.advance(DAY + HOUR);
    assert!(bench.advance(&incomplete));
}

#[test]
fn a_new_issuer_signs_at_once_under_the_same_root() {
    let mut bench = Bench::new();
    let (bundle, old) = (bench.now.bundle().unwrap(), bench.svid("web"));
    bench.begin(Replaced::Issuer);
    assert_eq!(
        (bench.now.stage(), bench.now.bundle().unwrap()),
        (Stage::Renewing, bundle.clone())
    );
    let new = bench.svid("cart");
    assert_ne!(new.issuer_id(), old.issuer_id());
    assert!(bench.meet((&old, &bundle), (&new, &bundle)));
    let again = bench.now.begin(Replaced::Issuer, false, bench.mesh.clock.now());
    assert_eq!(again.unwrap_err(), RotationError::UnderWay);
    assert!(bench.advance(&bench.live(&[&new])));
    assert_eq!(bench.now.stage(), Stage::Steady);
}

#[test]
fn issuer_and_root_are_due_long_before_they_end() {
    let mut bench = Bench::new();
    let mut due_after = Vec::new();
    for day in 0..3650 {
        if let Some(what) = bench.now.due(bench.mesh.clock.now()) {
            due_after.push((what, day));
            bench.begin(what);
            while bench.advance(&Seen::default()) {}
        }
        assert!(
            bench.now.signing().not_after() > bench.mesh.clock.now() + 100 * DAY,
            "day {day}"
        );
        bench.mesh.clock.advance(DAY);
    }
    let issuers = due_after
        .iter()
        .filter(|(what, _)| *what == Replaced::Issuer)
        .count();
    let roots: Vec<_> = due_after
        .iter()
        .filter(|(what, _)| *what == Replaced::Root)
        .collect();
    assert_eq!(roots, [&(Replaced::Root, 2920)], "at four fifths of ten years");
    assert!(
        (17..=20).contains(&issuers),
        "{issuers} issuers: each at half of a year"
    );
}

#[test]
fn after_the_end_of_everything_a_repair_starts_anew_and_before_it_refuses() {
    let mut bench = Bench::new();
    let now = || bench.mesh.clock.now();
    assert!(matches!(bench.now.repaired(now()), Err(RotationError::Valid(_))));
    bench.mesh.clock.advance(3651 * DAY);
    assert_eq!(
        bench.now.due(now()),
        None,
        "nobody would know a root that nobody heard of"
    );
    let repaired = bench.now.repaired(now()).unwrap();
    assert_ne!(repaired.bundle().unwrap(), bench.now.bundle().unwrap());
    bench.step(repaired);
    let (bundle, svid) = (bench.now.bundle().unwrap(), bench.svid("web"));
    assert!(bench.meet((&svid, &bundle), (&svid, &bundle)));
}

#[test]
fn an_expired_issuer_below_a_good_root_is_repaired_without_a_new_root() {
    let bench = Bench::new();
    bench.mesh.clock.advance(366 * DAY);
    let repaired = bench.now.repaired(bench.mesh.clock.now()).unwrap();
    assert_eq!(repaired.bundle().unwrap(), bench.now.bundle().unwrap());
}

#[test]
fn an_authority_from_elsewhere_is_made_known_before_it_signs() {
    let mut bench = Bench::new();
    let old = bench.svid("web");
    let other = Mesh::new("cluster.local").authority;
    let (pem, now) = (other.to_pem(), bench.mesh.clock.now());
    let adopted = bench.now.adopt(other, now).unwrap().unwrap();
    bench.step(adopted);
    assert_eq!(bench.now.stage(), Stage::Spreading);
    let same = wattle_identity::Authority::from_pem(&bench.mesh.trust_domain, pem.as_bytes()).unwrap();
    assert!(
        bench.now.adopt(same, now).unwrap().is_none(),
        "it is under way already"
    );
    assert!(bench.advance(&bench.live(&[&old])));
    assert_ne!(bench.svid("web").issuer_id(), old.issuer_id());
}

#[test]
fn damaged_text_is_refused_with_its_line() {
    let bench = Bench::new();
    let pem = bench.now.signing().to_pem();
    for text in ["nonsense", "next soon true\n", "retiring 7\n"] {
        let read = Succession::from_parts(&bench.mesh.trust_domain, pem.as_bytes(), text);
        assert_eq!(
            read.unwrap_err().to_string(),
            "succession of authorities is damaged at line 1",
            "{text}"
        );
    }
}
