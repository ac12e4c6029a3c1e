//! When an endpoint that fails is left out for a while.

use std::time::Duration;

use serde::Serialize;

use crate::decode::{Cursor, Decoded};
use crate::scalar::{self, write_duration};

use super::time::time;
use super::value::{MAX_ITEMS, flag};

/// Limits of failures; a field that is none was not written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutlierDetection {
    /// Failures in a row, by status from 500 or no response; 0 means never, none means 5.
    #[serde(rename = "consecutive5xxErrors", skip_serializing_if = "Option::is_none")]
    pub consecutive_5xx_errors: Option<u32>,
    /// Failures in a row, by status 502, 503 or 504; 0 or none means never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consecutive_gateway_errors: Option<u32>,
    /// Whether failures to connect count apart from responses; default false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub split_external_local_origin_errors: bool,
    /// Failures to connect in a row; none means 5. Only with the field before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consecutive_local_origin_failures: Option<u32>,
    /// Time between two looks, from 1 ms; none means 10 s.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_duration")]
    pub interval: Option<Duration>,
    /// How long an endpoint is left out the first time, from 1 ms; none means 30 s.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_duration")]
    pub base_ejection_time: Option<Duration>,
    /// Most of the endpoints that are left out at once, in percent, 1 to 100; none means 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ejection_percent: Option<u32>,
    /// Share of healthy endpoints below which none is left out, in percent, 1 to 100; none means 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_health_percent: Option<u32>,
    /// Statuses that count as failures instead of those from 500, 100 to 599.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outlier_detection_http_error_codes: Vec<u16>,
}

pub(crate) fn outlier_detection(cursor: &Cursor<'_>) -> Decoded<OutlierDetection> {
    let fields = cursor.fields(&[
        "consecutiveErrors",
        "consecutive5xxErrors",
        "consecutiveGatewayErrors",
        "splitExternalLocalOriginErrors",
        "consecutiveLocalOriginFailures",
        "interval",
        "baseEjectionTime",
        "maxEjectionPercent",
        "minHealthPercent",
        "outlierDetectionHttpErrorCodes",
    ])?;
    if let Some(old) = fields.at("consecutiveErrors") {
        let hint = "write consecutive5xxErrors or consecutiveGatewayErrors";
        old.warn(
            "deprecated-field",
            "the field is deprecated and has no effect",
            hint,
        );
    }
    let count = |key| fields.optional(key, |at| scalar::count(at, 0, u32::MAX));
    let percent = |key| fields.optional(key, |at| scalar::count(at, 0, 100));
    let consecutive_5xx_errors = count("consecutive5xxErrors");
    let consecutive_gateway_errors = count("consecutiveGatewayErrors");
    let split = flag(&fields, "splitExternalLocalOriginErrors");
    let consecutive_local_origin_failures = count("consecutiveLocalOriginFailures");
    let interval = fields.optional("interval", time);
    let base_ejection_time = fields.optional("baseEjectionTime", time);
    let max_ejection_percent = percent("maxEjectionPercent");
    let min_health_percent = percent("minHealthPercent");
    let codes = fields.list("outlierDetectionHttpErrorCodes", MAX_ITEMS, status);
    let detection = OutlierDetection {
        consecutive_5xx_errors: consecutive_5xx_errors?,
        consecutive_gateway_errors: consecutive_gateway_errors?,
        split_external_local_origin_errors: split?,
        consecutive_local_origin_failures: consecutive_local_origin_failures?,
        interval: interval?,
        base_ejection_time: base_ejection_time?,
        max_ejection_percent: max_ejection_percent?.filter(|percent| *percent > 0),
        min_health_percent: min_health_percent?.filter(|percent| *percent > 0),
        outlier_detection_http_error_codes: codes?,
    };
    let local = detection.consecutive_local_origin_failures.unwrap_or_default();
    if local > 0 && !detection.split_external_local_origin_errors {
        let reason = "consecutiveLocalOriginFailures needs splitExternalLocalOriginErrors";
        let hint = "write splitExternalLocalOriginErrors: true";
        return Err(cursor.refuse_with("incompatible-fields", reason, hint));
    }
    Ok(detection)
}

fn status(cursor: &Cursor<'_>) -> Decoded<u16> {
    let number = scalar::integer(cursor, 100, 599)?;
    Ok(u16::try_from(number).unwrap_or(500))
}
