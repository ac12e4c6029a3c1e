//! The floor plan as data, each wall with its reason. It follows DESIGN, section 5; a wall that stands in
//! the wrong place is moved here, in `ARCHITECTURE.md` and with an ADR in one commit.

/// What one crate must never reach, directly or through another crate of the workspace.
#[derive(Debug)]
pub(super) struct Ban {
    pub(super) of: &'static str,
    pub(super) never: &'static [&'static str],
    pub(super) why: &'static str,
}

/// Two crates that nobody may depend on together, and who may.
#[derive(Debug)]
pub(super) struct NeverBoth {
    pub(super) crates: [&'static str; 2],
    pub(super) except: &'static [&'static str],
    pub(super) why: &'static str,
}

/// Libraries that only some crates may hold.
#[derive(Debug)]
pub(super) struct Holding {
    pub(super) of: &'static [&'static str],
    pub(super) holders: &'static [&'static str],
    pub(super) why: &'static str,
}

/// Test harnesses: anyone may use them for tests, nobody may ship them.
pub(super) const HARNESS: &[&str] = &["wattle-testkit"];

/// The floor a crate lies on; `None` for a crate that the plan does not know.
pub(super) fn floor(name: &str) -> Option<u8> {
    Some(match name {
        "wattle-model" | "wattle-identity" | "wattle-jwt" => 0,
        "wattle-net" | "wattle-wire" | "wattle-envoy" | "wattle-api" => 1,
        "wattle-source" | "wattle-compile" | "wattle-capture" | "wattle-http" => 2,
        "wattle-balance" | "wattle-telemetry" | "wattle-wasm" | "wattle-dns" => 2,
        "wattle-control" | "wattle-proxy" | "wattle-console" | "wattle-demo" => 3,
        "wattle" => 4,
        "wattle-testkit" | "wattle-bench" | "wattle-fuzz" | "xtask" => 5,
        _ => return None,
    })
}

const CLUSTER_CLIENT: &[&str] = &["kube", "kube-client", "kube-core", "kube-runtime", "k8s-openapi"];
const ASYNC: &[&str] = &[
    "tokio",
    "tokio-util",
    "tokio-stream",
    "futures-util",
    "async-trait",
    "smol",
];

/// Who must never know what.
pub(super) const BANS: &[Ban] = &[
    Ban {
        of: "wattle-model",
        never: ASYNC,
        why: "decisions are pure: no I/O, no async",
    },
    Ban {
        of: "wattle-model",
        never: &["serde", "serde_json", "prost", "rand", "jiff", "chrono", "time"],
        why: "model values are not a format; time and random numbers are arguments",
    },
    Ban {
        of: "wattle-identity",
        never: ASYNC,
        why: "identity does no I/O; callers own the runtime",
    },
    Ban {
        of: "wattle-identity",
        never: &["wattle-model"],
        why: "identity stands alone; it knows names, not meshes",
    },
    Ban {
        of: "wattle-jwt",
        never: ASYNC,
        why: "tokens are verified without I/O; keys and time are arguments",
    },
    Ban {
        of: "wattle-jwt",
        never: &["wattle-model", "wattle-identity", "http", "rustls", "jiff"],
        why: "tokens stand alone: no policy, no requests, no connections, no clock",
    },
    Ban {
        of: "wattle-compile",
        never: ASYNC,
        why: "compile is pure: a snapshot in, values out",
    },
    Ban {
        of: "wattle-compile",
        never: &["wattle-source", "rand", "notify"],
        why: "compile does no I/O",
    },
    Ban {
        of: "wattle-compile",
        never: &["prost", "tonic", "wattle-wire"],
        why: "encoding belongs to wire",
    },
    Ban {
        of: "wattle-wire",
        never: ASYNC,
        why: "the delta xDS state machine has no I/O",
    },
    Ban {
        of: "wattle-wire",
        never: &["wattle-api"],
        why: "wire meets the model, never what people write",
    },
    Ban {
        of: "wattle-envoy",
        never: &["wattle-api", "wattle-wire", "wattle-identity"],
        why: "the Envoy encoder meets the model alone: values in, messages out",
    },
    Ban {
        of: "wattle-api",
        never: ASYNC,
        why: "parsing is pure",
    },
    Ban {
        of: "wattle-api",
        never: &["wattle-model"],
        why: "only compile knows both api and model",
    },
    Ban {
        of: "wattle-net",
        never: &["wattle-model", "wattle-api", "wattle-wire"],
        why: "net does not know the mesh",
    },
    Ban {
        of: "wattle-source",
        never: &["wattle-model", "wattle-compile"],
        why: "sources do not know the model",
    },
    Ban {
        of: "wattle-capture",
        never: &["http", "httparse", "h2", "hyper", "wattle-http"],
        why: "capture does not know HTTP",
    },
    Ban {
        of: "wattle-dns",
        never: &[
            "wattle-model",
            "wattle-api",
            "wattle-wire",
            "http",
            "h2",
            "wattle-http",
        ],
        why: "dns knows names and addresses as plain values, not the mesh, policy or HTTP",
    },
    Ban {
        of: "wattle-http",
        never: &["wattle-model", "wattle-api", "wattle-wire", "wattle-compile"],
        why: "http does not know policy",
    },
    Ban {
        of: "wattle-balance",
        never: &["http", "httparse", "h2", "hyper", "wattle-http"],
        why: "balance does not know HTTP",
    },
    Ban {
        of: "wattle-proxy",
        never: &["wattle-control", "wattle-api", "wattle-compile", "wattle-source"],
        why: "proxy and control meet in model and wire alone",
    },
    Ban {
        of: "wattle-proxy",
        never: CLUSTER_CLIENT,
        why: "the proxy never talks to a cluster",
    },
    Ban {
        of: "wattle-control",
        never: &["wattle-proxy"],
        why: "proxy and control meet in model and wire alone",
    },
    Ban {
        of: "wattle-console",
        never: &["wattle-proxy"],
        why: "the console reads through control's API",
    },
    Ban {
        of: "wattle-demo",
        never: &[
            "wattle-proxy",
            "wattle-control",
            "wattle-model",
            "wattle-api",
            "wattle-identity",
        ],
        why: "the sample application stands for somebody's own: it must not know that a mesh is there",
    },
    Ban {
        of: "wattle",
        never: HARNESS,
        why: "the test harness does not ship",
    },
    Ban {
        of: "wattle",
        never: &["xtask"],
        why: "the workshop does not ship",
    },
];

/// Knowledge that meets in few places.
pub(super) const NEVER_BOTH: &[NeverBoth] = &[NeverBoth {
    crates: ["wattle-api", "wattle-model"],
    except: &["wattle-compile", "wattle-control", "wattle"],
    why: "only compile (and the compositions above it) knows both what people write and what it means",
}];

/// Libraries with few holders.
pub(super) const HOLDERS: &[Holding] = &[
    Holding {
        of: CLUSTER_CLIENT,
        holders: &["wattle-source", "wattle-control", "wattle"],
        why: "only source, control and the binary may hold a cluster client",
    },
    Holding {
        of: &["anyhow", "clap", "clap_complete", "indicatif", "comfy-table"],
        holders: &["wattle", "xtask", "wattle-bench"],
        why: "libraries have small enums per operation; words for people are the binary's",
    },
    Holding {
        of: &["prost-build", "tonic-prost-build", "protox"],
        holders: &["xtask"],
        why: "generated code is committed; no build needs a protobuf compiler",
    },
    Holding {
        of: &["prost", "prost-types", "tonic-prost"],
        holders: &[
            "wattle-wire",
            "wattle-envoy",
            "wattle-control",
            "wattle-proxy",
            "wattle-demo",
            "wattle-testkit",
        ],
        why: "protobuf stays at the wire and at the two ends of a stream",
    },
    Holding {
        of: &["rcgen"],
        holders: &["wattle-identity", "wattle-proxy", "wattle-testkit"],
        why: "certificates are made by identity; the proxy makes its own key and request",
    },
    Holding {
        of: &["serde-saphyr"],
        holders: &["wattle-api"],
        why: "YAML is parsed in one place, with budgets",
    },
    Holding {
        of: &["hickory-proto"],
        holders: &["wattle-dns"],
        why: "DNS messages are read and written in one place",
    },
    Holding {
        of: &["redb"],
        holders: &["wattle-control"],
        why: "state belongs to the control plane",
    },
    Holding {
        of: &["wasmtime"],
        holders: &["wattle-wasm"],
        why: "only wasm runs foreign code, with limits",
    },
];
