//! A workload with every mode, protocol and policy.

use wattle_model::{
    Allowance, Attribute, Authorization, ClaimHeader, Condition, Inbound, InboundPort, IpBlock, MtlsMode,
    Operation, Policy, PolicyRule, Protocol, RateLimit, Source, TextMatch, TokenLocation, TokenRule,
};

use crate::support::mesh::{object, service};
use crate::{SECOND, at, regex};

fn texts() -> Vec<TextMatch> {
    vec![
        TextMatch::Exact("a/b".into()),
        TextMatch::Prefix("a".into()),
        TextMatch::Suffix("b".into()),
        TextMatch::Present,
        TextMatch::Regex(regex("[a-z]+")),
    ]
}

fn policy_rules() -> Vec<PolicyRule> {
    let block = IpBlock::parse("10.0.0.0/8").unwrap();
    let from = Source {
        principals: texts(),
        not_principals: texts(),
        namespaces: texts(),
        not_namespaces: texts(),
        service_accounts: texts(),
        not_service_accounts: texts(),
        ip_blocks: vec![block],
        not_ip_blocks: vec![block],
        trust_domains: texts(),
        not_trust_domains: texts(),
        remote_ip_blocks: vec![block],
        not_remote_ip_blocks: vec![block],
        request_principals: texts(),
        not_request_principals: texts(),
    };
    let to = Operation {
        hosts: texts(),
        not_hosts: texts(),
        ports: vec![80],
        not_ports: vec![81],
        methods: texts(),
        not_methods: texts(),
        paths: texts(),
        not_paths: texts(),
    };
    let keys = [
        "source.ip",
        "remote.ip",
        "destination.ip",
        "connection.sni",
        "source.namespace",
        "source.principal",
        "source.serviceAccount",
        "source.trustDomain",
        "destination.port",
        "request.headers[x-a]",
        "request.auth.principal",
        "request.auth.audiences",
        "request.auth.presenter",
        "request.auth.claims[iss]",
        "request.auth.claims[realm][roles]",
    ];
    let when = keys.map(|key| {
        let attribute = Attribute::parse(key);
        let (texts, blocks) = match attribute.is_address() {
            true => (Vec::new(), vec![block]),
            false => (texts(), Vec::new()),
        };
        Condition {
            attribute,
            values: texts.clone(),
            not_values: texts,
            blocks: blocks.clone(),
            not_blocks: blocks,
        }
    });
    let whole = PolicyRule {
        from: vec![from.clone()],
        to: vec![to.clone()],
        when: vec![],
        unsupported: None,
    };
    let mut rules = vec![
        PolicyRule::default(),
        whole,
        PolicyRule {
            to: vec![to],
            unsupported: Some("x".into()),
            ..Default::default()
        },
    ];
    rules.extend(when.map(|condition| PolicyRule {
        when: vec![condition],
        ..Default::default()
    }));
    rules
}

/// One rule with everything, one without keys, one whose keys are none.
fn tokens() -> Vec<TokenRule> {
    let header = |name: &'static str| http::HeaderName::from_static(name);
    let key = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
    let whole = TokenRule {
        issuer: Some("https://issuer.example".into()),
        audiences: vec!["shop".into()],
        keys: Some(key.into()),
        locations: vec![
            TokenLocation::Header(header("x-jwt"), "".into()),
            TokenLocation::Header(header("authorization"), "Bearer ".into()),
            TokenLocation::Query("t".into()),
            TokenLocation::Cookie("jwt".into()),
        ],
        forward: true,
        payload_header: Some(header("x-payload")),
        claim_headers: vec![ClaimHeader {
            header: header("x-role"),
            claim: vec!["realm".into(), "role".into()],
        }],
        space_delimited: vec!["roles".into()],
        ..TokenRule::bearer(object("tokens"))
    };
    let broken = TokenRule {
        keys: Some("{}".into()),
        ..TokenRule::bearer(object("broken"))
    };
    vec![whole, TokenRule::bearer(object("without")), broken]
}

pub(super) fn guarded() -> Inbound {
    let port = |number, protocol, mtls, target| InboundPort {
        port: number,
        protocol,
        mtls,
        mtls_origin: None,
        service: Some(service("web")),
        target,
    };
    let policy = |rules| Policy {
        origin: object("policy"),
        rules,
    };
    let local = Allowance::Local {
        requests: 1000,
        per: SECOND,
        burst: 50,
        by_identity: false,
    };
    let limit = RateLimit {
        origin: object("limit"),
        ports: vec![],
        matches: vec![],
        clients: vec![],
        except: vec![],
        allowance: local,
    };
    let mut ports = Vec::new();
    for (step, mtls) in [MtlsMode::Disable, MtlsMode::Permissive, MtlsMode::Strict]
        .into_iter()
        .enumerate()
    {
        let from = 1000 + 100 * u16::try_from(step).unwrap();
        ports.push(port(from, Protocol::Http1, mtls, None));
        ports.push(port(from + 1, Protocol::Tcp, mtls, None));
        ports.push(port(from + 2, Protocol::Detect, mtls, Some(at(9, 9))));
        ports.push(port(from + 3, Protocol::Grpc, mtls, None));
    }
    Inbound {
        name: "shop/web-0".into(),
        ports,
        authorization: Authorization {
            deny: vec![policy(policy_rules())],
            allow: vec![policy(policy_rules()), policy(vec![])],
            ..Authorization::default()
        },
        rate_limits: vec![limit],
        tokens: tokens(),
        ..Inbound::default()
    }
}
