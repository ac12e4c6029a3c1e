//! How much an Envoy has under way, read from its gauges.

/// Requests, and connections that carry no requests. An idle connection of HTTP is no work: its far end may open another.
pub(super) fn open_work(stats: &str) -> u64 {
    let mut requests = 0;
    let (mut http, mut all) = (0, 0);
    for line in stats.lines() {
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        let Ok(value) = value.trim().parse::<u64>() else {
            continue;
        };
        if name.starts_with("http.admin.") || name.starts_with("listener.admin.") {
            continue;
        }
        if name.starts_with("http.") && name.ends_with(".downstream_rq_active") {
            requests += value;
        } else if name.starts_with("http.") && name.ends_with(".downstream_cx_active") {
            http += value;
        } else if name.starts_with("listener.") && is_total_of_listener(name) {
            all += value;
        }
    }
    requests + u64::saturating_sub(all, http)
}

/// Gauges of single workers are counted in the listener's own.
fn is_total_of_listener(name: &str) -> bool {
    name.ends_with(".downstream_cx_active") && !name.contains(".worker_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_connections_of_http_are_no_work_and_opaque_ones_are() {
        let idle = "http.admin.downstream_rq_active: 1\n\
                    http.inbound.downstream_cx_active: 2\n\
                    http.inbound.downstream_rq_active: 0\n\
                    listener.0.0.0.0_15006.downstream_cx_active: 2\n\
                    listener.0.0.0.0_15006.worker_0.downstream_cx_active: 2\n\
                    listener.admin.downstream_cx_active: 1\n";
        assert_eq!(open_work(idle), 0);
        let request = idle.replace(
            "inbound.downstream_rq_active: 0",
            "inbound.downstream_rq_active: 3",
        );
        assert_eq!(open_work(&request), 3);
        let opaque = idle.replace("15006.downstream_cx_active: 2", "15006.downstream_cx_active: 3");
        assert_eq!(open_work(&opaque), 1);
    }
}
