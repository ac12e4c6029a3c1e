//! What the supervisor and the control plane say of the mesh's parts, and waiting for what they should say.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde_json::Value;

use super::{Mesh, PATIENCE};
use crate::{Request, Spot, ask, eventually};

/// An instance, as the supervisor sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// Name of the instance.
    pub instance: String,
    /// `waiting`, `preparing`, `starting`, `ready`, `backing-off`, `finished`, `stopping`, `stopped` or `failed`.
    pub phase: String,
    /// Id of the application inside the mesh.
    pub pid: Option<u32>,
    /// Id of the proxy inside the mesh.
    pub proxy_pid: Option<u32>,
    /// The proxy says it is ready.
    pub proxy_ready: bool,
    /// How often the proxy was started again.
    pub proxy_restarts: u64,
    /// How the application ended last.
    pub exit: Option<i64>,
    /// Its address on the bridge.
    pub address: Option<IpAddr>,
}

impl Process {
    fn read(value: &Value) -> Self {
        let pid = |value: &Value| value.as_u64().and_then(|pid| u32::try_from(pid).ok());
        Self {
            instance: value["instance"].as_str().unwrap_or_default().to_owned(),
            phase: value["phase"].as_str().unwrap_or_default().to_owned(),
            pid: pid(&value["pid"]),
            proxy_pid: pid(&value["proxy"]["pid"]),
            proxy_ready: value["proxy"]["ready"].as_bool().unwrap_or_default(),
            proxy_restarts: value["proxy"]["restarts"].as_u64().unwrap_or_default(),
            exit: value["exit"]["code"].as_i64(),
            address: value["address"].as_str().and_then(|text| text.parse().ok()),
        }
    }
}

impl Mesh {
    /// All instances.
    #[must_use]
    pub fn processes(&self) -> Vec<Process> {
        let said = self.supervisor("/processes").unwrap_or_default();
        said.as_array()
            .map_or(Vec::new(), |list| list.iter().map(Process::read).collect())
    }

    /// One instance.
    #[track_caller]
    #[must_use]
    pub fn process(&self, instance: &str) -> Process {
        let found = self
            .processes()
            .into_iter()
            .find(|process| process.instance == instance);
        found.unwrap_or_else(|| panic!("no instance {instance}"))
    }

    /// Waits until an instance is there and as wanted.
    #[track_caller]
    pub fn wait_for(
        &self,
        instance: &str,
        what: &str,
        bound: Duration,
        wanted: impl Fn(&Process) -> bool,
    ) -> Process {
        let mut last = None;
        eventually(&format!("{instance} is {what}"), bound, || {
            last = self
                .processes()
                .into_iter()
                .find(|process| process.instance == instance);
            last.clone().filter(|process| wanted(process))
        })
    }

    /// Waits until an instance is ready.
    #[track_caller]
    pub fn wait_ready(&self, instance: &str) -> Process {
        self.wait_for(instance, "ready", PATIENCE, |process| process.phase == "ready")
    }

    /// Waits until a process that ends by itself has ended; gives its exit code.
    #[track_caller]
    pub fn wait_exit(&self, instance: &str, bound: Duration) -> i64 {
        let ended = self.wait_for(instance, "finished", bound, |process| {
            assert!(process.phase != "failed", "{process:?}");
            process.phase == "finished"
        });
        ended.exit.expect("what has finished has an exit code")
    }

    /// Waits until every proxy holds the newest version of all it wants.
    #[track_caller]
    pub fn wait_synced(&self, proxies: usize) {
        let mut last = Value::Null;
        let synced = || {
            last = self.control("/status")?;
            let list = last["proxies"].as_array()?;
            (list.len() >= proxies && list.iter().all(|proxy| proxy["synced"] == true)).then_some(())
        };
        eventually(
            &format!("{proxies} proxies hold the newest config"),
            PATIENCE,
            synced,
        );
    }

    /// Waits until the control plane counts an instance among the endpoints that requests can be sent to.
    #[track_caller]
    pub fn wait_endpoint(&self, instance: &str) {
        let workload = format!("default/{instance}");
        eventually(&format!("{instance} is an endpoint"), PATIENCE, || {
            let endpoints = self.control("/endpoints")?;
            let is_it = |one: &Value| one["workload"] == *workload && one["health"] == "healthy";
            endpoints.as_array()?.iter().any(is_it).then_some(())
        });
    }

    /// Waits until a log file of the state directory holds a text; what is logged gets there a little later.
    #[track_caller]
    pub fn wait_log(&self, name: &str, text: &str) {
        eventually(&format!("`{text}` in {name}"), PATIENCE, || {
            self.log(name).contains(text).then_some(())
        });
    }

    /// Asks the proxy of an instance for a new certificate and waits until it has it.
    #[track_caller]
    pub fn renew_certificate(&self, instance: &str) {
        let spot = Spot::of(self.proxy(instance).pid);
        let admin = SocketAddr::from(([127, 0, 0, 1], 15000));
        let renewals = || {
            let page = spot
                .enter(|| ask(admin, &Request::get("proxy", "/status")))
                .ok()?;
            serde_json::from_slice::<Value>(&page.body).ok()?["certificate"]["renewals"].as_u64()
        };
        let before = eventually("the proxy tells its renewals", PATIENCE, renewals);
        let order = Request {
            method: "POST".to_owned(),
            ..Request::get("proxy", "/renew")
        };
        let answer = spot
            .enter(|| ask(admin, &order))
            .expect("the proxy's admin answers");
        assert_eq!(answer.status, 200, "{}", answer.text());
        eventually("a new certificate", PATIENCE, || {
            renewals().filter(|now| *now > before)
        });
    }

    /// Waits until the control plane holds an object whose annotation `generation` is as given.
    #[track_caller]
    pub fn wait_generation(&self, kind: &str, name: &str, generation: &str) {
        eventually(
            &format!("{kind} {name} is of generation {generation}"),
            PATIENCE,
            || {
                let object = self.control(&format!("/objects/{kind}/default/{name}"))?;
                (object["manifest"]["metadata"]["annotations"]["generation"] == generation).then_some(())
            },
        );
    }
}
