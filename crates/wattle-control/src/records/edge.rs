//! An edge of the metrics as a record.

use std::net::{Ipv4Addr, SocketAddr};

use wattle_telemetry::{EdgeView, Refusal};

use super::{Known, Record};

/// Reads what a workload's own proxy counted of one caller; `None` for what other sides counted, and for edges on which
/// nothing is known to have been let in: a request that went well, a connection with bytes.
pub fn of_edge(edge: &EdgeView) -> Option<Record> {
    let name = &edge.name;
    let total = &edge.total;
    let moved = total.sent_bytes > 0 || total.received_bytes > 0;
    let count = total.successes + if moved { total.connections_opened } else { 0 };
    if name.reporter != "destination" || name.destination_principal.is_empty() || count == 0 {
        return None;
    }
    let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let facts = Refusal {
        id: String::new(),
        trace_id: None,
        time: String::new(),
        reason: String::new(),
        detail: String::new(),
        policy: String::new(),
        workload: name.destination_principal.clone(),
        instance: name.destination_workload.clone(),
        peer: Some(name.source_principal.clone()).filter(|peer| name.mtls && !peer.is_empty()),
        downstream: nowhere,
        local: nowhere,
        sni: None,
        request: None,
    };
    Some(Record {
        facts,
        known: Known::Edge,
        count,
    })
}
