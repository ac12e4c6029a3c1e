use super::*;

fn locality(text: &str) -> Locality {
    let mut parts = text.split('/').map(Arc::from);
    let mut next = || parts.next().unwrap_or_default();
    Locality {
        region: next(),
        zone: next(),
        subzone: next(),
    }
}

fn endpoint(at: &str, labels: &[(&str, &str)]) -> Endpoint {
    Endpoint {
        locality: locality(at),
        labels: labels
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect(),
        ..Endpoint::example()
    }
}

fn priorities(policy: &LocalityPolicy, own: &str, endpoints: &[Endpoint]) -> Vec<u32> {
    let places = policy.places(&locality(own), &[], endpoints);
    places.iter().map(|place| place.priority).collect()
}

#[test]
fn near_endpoints_come_first_and_a_named_region_before_the_others() {
    let policy = LocalityPolicy {
        failover: true,
        regions: vec![("eu".into(), "us".into())],
        ..LocalityPolicy::default()
    };
    let endpoints: Vec<_> = ["eu/a/1", "eu/a/2", "eu/b/1", "us/a/1", "asia/a/1"]
        .iter()
        .map(|at| endpoint(at, &[]))
        .collect();
    assert_eq!(priorities(&policy, "eu/a/1", &endpoints), [0, 1, 2, 3, 4]);
    // Priorities have no gaps: what is missing is no step.
    assert_eq!(priorities(&policy, "eu/c/1", &endpoints), [0, 0, 0, 1, 2]);
    assert_eq!(
        priorities(&LocalityPolicy::default(), "eu/a/1", &endpoints),
        [0; 5]
    );
}

#[test]
fn labels_count_from_the_first_that_differs() {
    let policy = LocalityPolicy {
        failover: true,
        labels: vec![("network".into(), None), ("version".into(), Some("v1".into()))],
        ..LocalityPolicy::default()
    };
    let endpoints = [
        endpoint("", &[("network", "n1"), ("version", "v1")]),
        endpoint("", &[("network", "n1"), ("version", "v2")]),
        endpoint("", &[("network", "n2"), ("version", "v1")]),
    ];
    let places = policy.places(&locality("eu"), &[("network".into(), "n1".into())], &endpoints);
    let priorities: Vec<_> = places.iter().map(|place| place.priority).collect();
    assert_eq!(priorities, [0, 1, 2]);
}

#[test]
fn a_distribution_gives_weights_to_callers_it_covers_and_nothing_to_what_it_does_not_name() {
    let policy = LocalityPolicy {
        failover: true,
        distribute: vec![Distribution {
            from: "eu/*".into(),
            to: vec![("eu/a/*".into(), 80), ("us".into(), 20)],
        }],
        ..LocalityPolicy::default()
    };
    let endpoints = [
        endpoint("eu/a/1", &[]),
        endpoint("us/x/1", &[]),
        endpoint("asia/a/1", &[]),
    ];
    let groups: Vec<_> = policy
        .places(&locality("eu/b/1"), &[], &endpoints)
        .iter()
        .map(|place| place.group)
        .collect();
    assert_eq!(groups, [Some((0, 80)), Some((1, 20)), Some((u32::MAX, 0))]);
    assert_eq!(priorities(&policy, "us/x/1", &endpoints), [1, 0, 1]);
}
