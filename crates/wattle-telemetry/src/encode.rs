//! The Prometheus text format, version 0.0.4.

use std::fmt::{Display, Write as _};

use crate::family::{Family, Kind};
use crate::registry::{Key, Registry};
use crate::scrape::Scraped;
use crate::slot::HistogramTotal;

/// Writes all series, by name and labels in order; serve it as `text/plain; version=0.0.4; charset=utf-8`. Counts as a scrape.
#[must_use]
pub fn text(registry: &Registry) -> String {
    let mut text = String::with_capacity(4_096);
    for (family, scraped) in registry.scrape() {
        match scraped {
            Scraped::Counter(series) => numbers(&mut text, family, &series),
            Scraped::Gauge(series) => numbers(&mut text, family, &series),
            Scraped::Histogram(series) => histograms(&mut text, family, &series),
        }
    }
    let dropped = Registry::dropped_family();
    header(&mut text, dropped);
    sample(&mut text, dropped.name, &[], registry.dropped());
    text
}

fn header(text: &mut String, family: &Family) {
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    };
    let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(text, "# HELP {} {help}", family.name);
    let _ = writeln!(text, "# TYPE {} {kind}", family.name);
}

fn numbers<N: Display>(text: &mut String, family: &Family, series: &[(Key, N)]) {
    if series.is_empty() {
        return;
    }
    header(text, family);
    for (key, value) in series {
        let labels = [key.shared.as_str(), key.own.as_str()];
        sample(text, family.name, &labels, value);
    }
}

fn histograms(text: &mut String, family: &Family, series: &[(Key, HistogramTotal)]) {
    let Kind::Histogram(bounds) = family.kind else {
        return;
    };
    if series.is_empty() {
        return;
    }
    header(text, family);
    let [bucket, sum, count] = ["_bucket", "_sum", "_count"].map(|end| format!("{}{end}", family.name));
    let ends: Vec<String> = bounds
        .iter()
        .map(|bound| format!("le=\"{bound}\""))
        .chain(["le=\"+Inf\"".to_owned()])
        .collect();
    for (key, total) in series {
        let (shared, own) = (key.shared.as_str(), key.own.as_str());
        let mut below = 0u64;
        for (end, count) in ends.iter().zip(&total.counts) {
            below = below.wrapping_add(*count);
            sample(text, &bucket, &[shared, own, end], below);
        }
        sample(text, &sum, &[shared, own], total.sum);
        sample(text, &count, &[shared, own], below);
    }
}

fn sample(text: &mut String, name: &str, labels: &[&str], value: impl Display) {
    text.push_str(name);
    let mut open = false;
    for part in labels.iter().filter(|part| !part.is_empty()) {
        text.push(if open { ',' } else { '{' });
        text.push_str(part);
        open = true;
    }
    if open {
        text.push('}');
    }
    let _ = writeln!(text, " {value}");
}
