//! Test harness: real processes in network namespaces, certificates, waiting on conditions.
