#![allow(clippy::unwrap_used)]

use super::*;

const EXAMPLE: &str = r#"
syntax = "proto3";
package wattle.example.v1;
import "google/protobuf/any.proto";
message Ask { bytes body = 1; google.protobuf.Any detail = 2; bytes other = 3; map<string, string> labels = 4; }
service Example { rpc Go(stream Ask) returns (stream Ask); }
"#;

fn generated(text: &str) -> Files {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("example.proto");
    fs::write(&path, text).unwrap();
    generate(folder.path(), &[path], &[".wattle.example.v1.Ask.body"]).unwrap()
}

#[test]
fn a_service_becomes_a_client_and_a_server() {
    let files = generated(EXAMPLE);
    let code = &files["wattle.example.v1.rs"];
    for part in ["pub mod example_client", "pub mod example_server"] {
        assert!(code.contains(part), "{part} in {code}");
    }
}

#[test]
fn only_listed_bytes_are_shared_and_maps_keep_their_order() {
    let files = generated(EXAMPLE);
    let code = &files["wattle.example.v1.rs"];
    for part in [
        "body: ::prost::bytes::Bytes",
        "other: ::prost::alloc::vec::Vec<u8>",
        "collections::BTreeMap<",
    ] {
        assert!(code.contains(part), "{part} in {code}");
    }
}

#[test]
fn protobuf_that_does_not_compile_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.proto");
    fs::write(&path, "syntax = \"proto3\"; message {").unwrap();
    assert!(generate(folder.path(), &[path], &[]).is_err());
}

#[test]
fn what_was_written_has_no_drift_and_an_edit_has() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = generated(EXAMPLE);
    write(folder.path(), &wanted, &Files::new()).unwrap();
    let mut present = present_files(folder.path()).unwrap();
    assert!(drift(&wanted, &present).is_empty());
    present.insert("wattle.example.v1.rs".into(), "edited".into());
    present.insert("stray.rs".into(), String::new());
    assert_eq!(
        drift(&wanted, &present),
        ["wattle.example.v1.rs differs", "stray.rs has no source"]
    );
    assert_eq!(drift(&wanted, &Files::new()), ["wattle.example.v1.rs is missing"]);
    assert!(report(&drift(&wanted, &present)).is_err());
}

#[test]
fn a_file_whose_source_is_gone_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("stray.rs"), "").unwrap();
    let present = present_files(folder.path()).unwrap();
    write(folder.path(), &generated(EXAMPLE), &present).unwrap();
    assert!(!folder.path().join("stray.rs").exists());
}
