//! Decoding of a Process.

use std::time::Duration;

use super::certificate::certificate;
use super::{Probe, Process, ProcessPort, Proxy, ProxyKind, Readiness, RestartPolicy, Variable};
use crate::core::{port_name, protocol};
use crate::decode::{Cursor, Decoded, Fields};
use crate::scalar;
use crate::tree::quote;

/// Most words of a command, variables, ports or dependencies.
const MAX_ITEMS: usize = 1024;
/// Most bytes of one word of a command or of one variable.
const MAX_WORD: usize = 128 << 10;
/// Most copies of a process.
const MAX_REPLICAS: u32 = 32;

const FIELDS: &[&str] = &[
    "command",
    "env",
    "workingDir",
    "ports",
    "serviceAccountName",
    "runAsUser",
    "readiness",
    "replicas",
    "restartPolicy",
    "proxy",
    "terminationGracePeriodSeconds",
    "dependsOn",
];

pub(crate) fn process(cursor: &Cursor<'_>) -> Decoded<Process> {
    let fields = cursor.fields(FIELDS)?;
    let command = fields.required("command", command);
    let env = fields.list("env", MAX_ITEMS, variable);
    let working_dir = fields.optional("workingDir", word);
    let ports = fields.list("ports", MAX_ITEMS, process_port);
    let service_account_name = fields.optional("serviceAccountName", scalar::subdomain);
    // The largest id is not a user: the system reads it as "unchanged".
    let run_as_user = fields.optional("runAsUser", |at| scalar::count(at, 0, u32::MAX - 1));
    let readiness = fields.optional("readiness", readiness);
    let replicas = fields.optional("replicas", |at| scalar::count(at, 0, MAX_REPLICAS));
    let restart_policy = fields.optional("restartPolicy", restart_policy);
    let proxy = fields.optional("proxy", proxy);
    let grace = fields.optional("terminationGracePeriodSeconds", |at| scalar::count(at, 0, 3600));
    let depends_on = fields.list("dependsOn", MAX_ITEMS, scalar::subdomain);
    let process = Process {
        command: command?,
        env: env?,
        working_dir: working_dir?,
        ports: ports?,
        service_account_name: service_account_name?.unwrap_or_else(|| "default".to_owned()),
        run_as_user: run_as_user?,
        readiness: readiness?,
        replicas: replicas?.unwrap_or(1),
        restart_policy: restart_policy?.unwrap_or_default(),
        proxy: proxy?.unwrap_or_default(),
        termination_grace_period_seconds: grace?.unwrap_or(30),
        depends_on: depends_on?,
    };
    check(&process, &fields)?;
    Ok(process)
}

fn check(process: &Process, fields: &Fields<'_>) -> Decoded<()> {
    for (index, port) in process.ports.iter().enumerate() {
        let others = &process.ports[..index];
        if port.name.is_some() && others.iter().any(|other| other.name == port.name) {
            return Err(fields.refuse("duplicate-port", "two ports have the same name"));
        }
        if others
            .iter()
            .any(|other| (other.port, other.protocol) == (port.port, port.protocol))
        {
            return Err(fields.refuse(
                "duplicate-port",
                format!("two ports have the number {}", port.port),
            ));
        }
    }
    let mut names = std::collections::BTreeSet::new();
    if let Some(twice) = process.env.iter().find(|variable| !names.insert(&variable.name)) {
        return Err(fields.refuse(
            "duplicate-variable",
            format!("variable {} is given twice", twice.name),
        ));
    }
    Ok(())
}

fn word(cursor: &Cursor<'_>) -> Decoded<String> {
    let text = scalar::text(cursor)?;
    if text.contains('\0') || text.len() > MAX_WORD {
        return Err(cursor.refuse("invalid-text", "found a NUL character or more than 128 KiB"));
    }
    Ok(text)
}

fn command(cursor: &Cursor<'_>) -> Decoded<Vec<String>> {
    if cursor.node.text().is_some() {
        let reason = format!("found {}, expected a list of words", cursor.node.value.describe());
        return Err(cursor.refuse_with(
            "wrong-type",
            reason,
            "write it as [\"program\", \"argument\"]; no shell is used",
        ));
    }
    let words = cursor.list(MAX_ITEMS, word)?;
    if words.first().is_none_or(String::is_empty) {
        return Err(cursor.refuse("empty", "found no program, expected at least one word"));
    }
    Ok(words)
}

fn variable(cursor: &Cursor<'_>) -> Decoded<Variable> {
    let fields = cursor.fields(&["name", "value"])?;
    let name = fields.required("name", |at| {
        let name = word(at)?;
        if name.is_empty() || name.contains('=') {
            return Err(at.refuse(
                "invalid-name",
                format!("found {}, expected a name without =", quote(&name)),
            ));
        }
        Ok(name)
    });
    let value = fields.optional("value", word);
    Ok(Variable {
        name: name?,
        value: value?.unwrap_or_default(),
    })
}

fn process_port(cursor: &Cursor<'_>) -> Decoded<ProcessPort> {
    let fields = cursor.fields(&["name", "port", "protocol", "appProtocol"])?;
    let name = fields.optional("name", port_name);
    let port = fields.required("port", scalar::port);
    let protocol = fields.optional("protocol", protocol);
    let app_protocol = fields.optional("appProtocol", scalar::filled);
    Ok(ProcessPort {
        name: name?,
        port: port?,
        protocol: protocol?.unwrap_or_default(),
        app_protocol: app_protocol?,
    })
}

fn readiness(cursor: &Cursor<'_>) -> Decoded<Readiness> {
    let known = [
        "tcpSocket",
        "httpGet",
        "exec",
        "periodSeconds",
        "timeoutSeconds",
        "failureThreshold",
    ];
    let fields = cursor.fields(&known)?;
    let tcp = fields.optional("tcpSocket", |at| {
        Ok(Probe::TcpSocket {
            port: at.fields(&["port"])?.required("port", scalar::port)?,
        })
    });
    let http = fields.optional("httpGet", http_get);
    let exec = fields.optional("exec", |at| {
        Ok(Probe::Exec {
            command: at.fields(&["command"])?.required("command", command)?,
        })
    });
    let period = fields.optional("periodSeconds", |at| scalar::count(at, 1, 3600));
    let timeout = fields.optional("timeoutSeconds", |at| scalar::count(at, 1, 3600));
    let failure_threshold = fields.optional("failureThreshold", |at| scalar::count(at, 1, 1000));
    let mut probes = [tcp?, http?, exec?].into_iter().flatten();
    let (Some(probe), None) = (probes.next(), probes.next()) else {
        return Err(cursor.refuse(
            "incompatible-fields",
            "expected exactly one of tcpSocket, httpGet, exec",
        ));
    };
    Ok(Readiness {
        probe,
        period: seconds(period?),
        timeout: seconds(timeout?),
        failure_threshold: failure_threshold?.unwrap_or(3),
    })
}

fn seconds(count: Option<u32>) -> Duration {
    Duration::from_secs(u64::from(count.unwrap_or(1)))
}

fn http_get(cursor: &Cursor<'_>) -> Decoded<Probe> {
    let fields = cursor.fields(&["path", "port"])?;
    let path = fields.optional("path", |at| {
        let path = scalar::text(at)?;
        if !path.starts_with('/') || path.parse::<http::uri::PathAndQuery>().is_err() {
            return Err(at.refuse(
                "invalid-path",
                format!("found {}, expected a path that starts with /", quote(&path)),
            ));
        }
        Ok(path)
    });
    let port = fields.required("port", scalar::port);
    Ok(Probe::HttpGet {
        path: path?.unwrap_or_else(|| "/".to_owned()),
        port: port?,
    })
}

fn restart_policy(cursor: &Cursor<'_>) -> Decoded<RestartPolicy> {
    let table = [
        ("Always", RestartPolicy::Always),
        ("OnFailure", RestartPolicy::OnFailure),
        ("Never", RestartPolicy::Never),
    ];
    scalar::word(cursor, &table)
}

fn proxy(cursor: &Cursor<'_>) -> Decoded<Proxy> {
    let fields = cursor.fields(&["enabled", "kind", "certificate"])?;
    let kinds = [("wattle", ProxyKind::Wattle), ("envoy", ProxyKind::Envoy)];
    let enabled = fields.optional("enabled", scalar::flag);
    let kind = fields.optional("kind", |at| scalar::word(at, &kinds));
    let certificate = fields.optional("certificate", certificate);
    Ok(Proxy {
        enabled: enabled?.unwrap_or(true),
        kind: kind?.unwrap_or_default(),
        certificate: certificate?,
    })
}
