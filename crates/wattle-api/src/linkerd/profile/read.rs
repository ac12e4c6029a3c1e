//! Decoding of a ServiceProfile.

use std::time::Duration;

use super::{
    ProfileRetryBudget, ProfileRoute, RequestCondition, ResponseClass, ResponseCondition, ServiceProfile,
    WeightedDst,
};
use crate::authorization::text_port;
use crate::decode::{Cursor, Decoded};
use crate::duration::go_duration;
use crate::scalar;
use crate::tree::{Value, quote};

/// Most routes, conditions of a kind, classes, destinations or ports.
const MAX_ITEMS: usize = 256;
/// Largest ratio of retries (1000 for each request).
const MAX_RATIO: f64 = 1000.0;
/// Largest weight in thousandths.
const MAX_WEIGHT: f64 = 1e9;
/// Bounds of the time a request counts for a budget; Linkerd's proxy clamps to them.
const TTL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

pub(crate) fn service_profile(cursor: &Cursor<'_>) -> Decoded<ServiceProfile> {
    let fields = cursor.fields(&["routes", "retryBudget", "dstOverrides", "opaquePorts"])?;
    let routes = fields.list("routes", MAX_ITEMS, route);
    let retry_budget = fields.optional("retryBudget", budget);
    let dst_overrides = fields.list("dstOverrides", MAX_ITEMS, destination);
    let opaque_ports = fields.list("opaquePorts", MAX_ITEMS, text_port);
    Ok(ServiceProfile {
        routes: routes?,
        retry_budget: retry_budget?,
        dst_overrides: dst_overrides?,
        opaque_ports: opaque_ports?,
    })
}

fn route(cursor: &Cursor<'_>) -> Decoded<ProfileRoute> {
    let known = ["name", "condition", "responseClasses", "isRetryable", "timeout"];
    let fields = cursor.fields(&known)?;
    let name = fields.required("name", scalar::filled);
    let condition = fields.required("condition", request);
    let response_classes = fields.list("responseClasses", MAX_ITEMS, class);
    let is_retryable = fields.optional("isRetryable", scalar::flag);
    let timeout = fields.optional("timeout", |at| match at.node.text() {
        Some("") => Ok(None),
        _ => go_duration(at).map(Some),
    });
    Ok(ProfileRoute {
        name: name?,
        condition: condition?,
        response_classes: response_classes?,
        is_retryable: is_retryable?.unwrap_or(false),
        timeout: timeout?.flatten(),
    })
}

/// A condition; several fields of one must all hold.
fn request(cursor: &Cursor<'_>) -> Decoded<RequestCondition> {
    let fields = cursor.fields(&["all", "any", "not", "method", "pathRegex"])?;
    let all = fields.optional("all", |at| several(at, request).map(RequestCondition::All));
    let any = fields.optional("any", |at| several(at, request).map(RequestCondition::Any));
    let not = fields.optional("not", |at| request(at).map(Box::new).map(RequestCondition::Not));
    let method = fields.optional("method", |at| method(at).map(RequestCondition::Method));
    let path = fields.optional("pathRegex", |at| scalar::pattern(at).map(RequestCondition::Path));
    let found = [all?, any?, not?, method?, path?];
    one(
        cursor,
        found.into_iter().flatten().collect(),
        RequestCondition::All,
    )
}

fn method(cursor: &Cursor<'_>) -> Decoded<String> {
    let text = scalar::filled(cursor)?;
    if http::Method::from_bytes(text.as_bytes()).is_err() {
        return Err(cursor.refuse(
            "invalid-method",
            format!("found {}, expected a method", quote(&text)),
        ));
    }
    Ok(text)
}

fn several<T>(cursor: &Cursor<'_>, decode: impl Fn(&Cursor<'_>) -> Decoded<T>) -> Decoded<Vec<T>> {
    let conditions = cursor.list(MAX_ITEMS, decode)?;
    if conditions.is_empty() {
        return Err(cursor.refuse("empty", "found no condition, expected at least one"));
    }
    Ok(conditions)
}

fn one<T>(cursor: &Cursor<'_>, mut found: Vec<T>, all: fn(Vec<T>) -> T) -> Decoded<T> {
    match (found.pop(), found.is_empty()) {
        (None, _) => Err(cursor.refuse("empty", "found no condition, expected at least one")),
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            found.push(last);
            Ok(all(found))
        }
    }
}

fn class(cursor: &Cursor<'_>) -> Decoded<ResponseClass> {
    let fields = cursor.fields(&["condition", "isFailure"])?;
    let condition = fields.required("condition", response);
    let is_failure = fields.optional("isFailure", scalar::flag);
    Ok(ResponseClass {
        condition: condition?,
        is_failure: is_failure?.unwrap_or(false),
    })
}

fn response(cursor: &Cursor<'_>) -> Decoded<ResponseCondition> {
    let fields = cursor.fields(&["all", "any", "not", "status"])?;
    let all = fields.optional("all", |at| several(at, response).map(ResponseCondition::All));
    let any = fields.optional("any", |at| several(at, response).map(ResponseCondition::Any));
    let not = fields.optional("not", |at| response(at).map(Box::new).map(ResponseCondition::Not));
    let status = fields.optional("status", status);
    let found = [all?, any?, not?, status?];
    one(
        cursor,
        found.into_iter().flatten().collect(),
        ResponseCondition::All,
    )
}

fn status(cursor: &Cursor<'_>) -> Decoded<ResponseCondition> {
    let fields = cursor.fields(&["min", "max"])?;
    let bound = |at: &Cursor<'_>| match at.node.value {
        // Linkerd takes zero for absent.
        Value::Int(0) => Ok(None),
        _ => scalar::count(at, 100, 599).map(|code| Some(code as u16)),
    };
    let min = fields.optional("min", bound);
    let max = fields.optional("max", bound);
    let (min, max) = (min?.flatten().unwrap_or(100), max?.flatten().unwrap_or(599));
    if min > max {
        return Err(cursor.refuse("out-of-range", "min is greater than max"));
    }
    Ok(ResponseCondition::Status { min, max })
}

fn budget(cursor: &Cursor<'_>) -> Decoded<ProfileRetryBudget> {
    let fields = cursor.fields(&["retryRatio", "minRetriesPerSecond", "ttl"])?;
    let ratio = fields.required("retryRatio", ratio);
    let min_retries_per_second =
        fields.required("minRetriesPerSecond", |at| scalar::count(at, 0, i32::MAX as u32));
    let ttl = fields.required("ttl", |at| {
        let ttl = go_duration(at)?;
        if ttl < TTL.0 || ttl > TTL.1 {
            return Err(at.refuse("out-of-range", "expected 1s to 60s"));
        }
        Ok(ttl)
    });
    Ok(ProfileRetryBudget {
        retry_ratio_millionths: ratio?,
        min_retries_per_second: min_retries_per_second?,
        ttl: ttl?,
    })
}

fn ratio(cursor: &Cursor<'_>) -> Decoded<u32> {
    let number = match &cursor.node.value {
        Value::Int(number) => *number as f64,
        Value::Float(number) => *number,
        _ => return Err(cursor.mistyped("a number from 0 to 1000")),
    };
    if !(0.0..=MAX_RATIO).contains(&number) {
        return Err(cursor.refuse("out-of-range", format!("found {number}, expected 0 to 1000")));
    }
    Ok((number * 1e6).round() as u32)
}

fn destination(cursor: &Cursor<'_>) -> Decoded<WeightedDst> {
    let fields = cursor.fields(&["authority", "weight"])?;
    let authority = fields.required("authority", authority);
    let weight = fields.required("weight", weight);
    Ok(WeightedDst {
        authority: authority?,
        weight_thousandths: weight?,
    })
}

fn authority(cursor: &Cursor<'_>) -> Decoded<String> {
    let text = scalar::text(cursor)?;
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text.as_str(), None),
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let port = port.is_none_or(|port| port.parse().is_ok_and(|port: u16| port > 0));
    if !scalar::is_subdomain(host) || !port {
        let reason = format!(
            "found {}, expected a host name, perhaps with a port",
            quote(&text)
        );
        return Err(cursor.refuse("invalid-hostname", reason));
    }
    Ok(text)
}

/// A Kubernetes quantity, as far as anyone writes one for a weight: a number, or thousandths with `m`.
fn weight(cursor: &Cursor<'_>) -> Decoded<u32> {
    let thousandths = match &cursor.node.value {
        Value::Int(number) => Some(*number as f64 * 1e3),
        Value::Float(number) => Some(*number * 1e3),
        Value::Text(text) => match text.strip_suffix('m') {
            Some(number) => number.parse().ok(),
            None => text.parse::<f64>().ok().map(|number| number * 1e3),
        },
        _ => None,
    };
    match thousandths.filter(|weight| (0.0..=MAX_WEIGHT).contains(weight)) {
        Some(weight) => Ok(weight.round() as u32),
        None => Err(cursor.refuse(
            "out-of-range",
            "expected a weight such as 1, 0.5 or 500m, at most 1000000",
        )),
    }
}
