//! The ratings, called by a gRPC client that nobody here wrote: Python's grpcio, from `WATTLE_PYTHON`.
#![allow(clippy::unwrap_used)]

mod support;

use std::process::Command;
use support::*;
use wattle_demo::Name;

#[test]
fn a_python_client_gets_ratings_streams_and_statuses() {
    let Some(python) = std::env::var_os("WATTLE_PYTHON") else {
        println!("skipped: needs WATTLE_PYTHON, a Python with grpcio");
        return;
    };
    if !Command::new(&python)
        .args(["-c", "import grpc"])
        .status()
        .is_ok_and(|status| status.success())
    {
        println!("skipped: WATTLE_PYTHON has no grpcio");
        return;
    }
    run(async {
        let ratings = start(Name::Ratings, &[]).await;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ratings_client.py");
        let mut client = Command::new(python);
        client.arg(script).arg(ratings.address.to_string());
        let output = tokio::task::spawn_blocking(move || client.output().unwrap())
            .await
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = said.lines().collect();
        let expected = [
            "rating: 7 4.67 93",
            "votes: 93 3",
            "refused: NOT_FOUND: no such product",
            "refused: UNIMPLEMENTED: no such method",
            "refused: NOT_FOUND: no such product",
        ];
        assert_eq!(lines, expected, "{}", String::from_utf8_lossy(&output.stderr));
        ratings.stop().await;
    });
}
