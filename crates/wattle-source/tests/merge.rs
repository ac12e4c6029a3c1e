//! Several sources as one.

#![allow(clippy::unwrap_used)]

mod common;

use common::{service, told};
use tokio::sync::mpsc;
use wattle_api::{Kind, Object, ObjectKey, parse};
use wattle_source::{Memory, merge};

fn object(name: &str, port: u16) -> Object {
    parse(&service(name, port), "memory").objects.remove(0)
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(Kind::Service, "default", name)
}

#[tokio::test]
async fn nothing_is_said_before_every_source_has_spoken() {
    let ((one, from_one), (two, from_two)) = (Memory::channel(4), Memory::channel(4));
    let (out, mut merged) = mpsc::channel(4);
    tokio::spawn(merge(vec![from_one, from_two], out));
    one.reset(vec![object("a", 1)]).await.unwrap();
    one.apply(object("c", 1)).await.unwrap();
    two.reset(vec![object("b", 2)]).await.unwrap();
    let first = told(&merged.recv().await.unwrap());
    // Whether c made it into the first batch depends on who was scheduled first; it is never lost.
    if first == ["reset a:1 b:2"] {
        assert_eq!(told(&merged.recv().await.unwrap()), ["apply c:1"]);
    } else {
        assert_eq!(first, ["reset a:1 b:2 c:1"]);
    }
}

#[tokio::test]
async fn the_first_source_wins_and_the_next_takes_over_when_it_lets_go() {
    let ((one, from_one), (two, from_two)) = (Memory::channel(4), Memory::channel(4));
    let (out, mut merged) = mpsc::channel(4);
    tokio::spawn(merge(vec![from_one, from_two], out));
    one.reset(vec![object("a", 1)]).await.unwrap();
    two.reset(vec![object("a", 2)]).await.unwrap();
    assert_eq!(told(&merged.recv().await.unwrap()), ["reset a:1"]);
    one.delete(key("a")).await.unwrap();
    assert_eq!(told(&merged.recv().await.unwrap()), ["apply a:2"]);
    two.delete(key("a")).await.unwrap();
    assert_eq!(told(&merged.recv().await.unwrap()), ["delete a"]);
}

#[tokio::test]
async fn a_source_that_starts_over_takes_back_only_its_own() {
    let ((one, from_one), (two, from_two)) = (Memory::channel(4), Memory::channel(4));
    let (out, mut merged) = mpsc::channel(4);
    tokio::spawn(merge(vec![from_one, from_two], out));
    one.reset(vec![object("a", 1), object("b", 1)]).await.unwrap();
    two.reset(vec![object("c", 2)]).await.unwrap();
    merged.recv().await.unwrap();
    one.reset(vec![object("b", 1), object("d", 1)]).await.unwrap();
    assert_eq!(told(&merged.recv().await.unwrap()), ["apply d:1", "delete a"]);
}

#[tokio::test]
async fn a_source_that_ends_leaves_what_it_said() {
    let ((one, from_one), (two, from_two)) = (Memory::channel(4), Memory::channel(4));
    let (out, mut merged) = mpsc::channel(4);
    tokio::spawn(merge(vec![from_one, from_two], out));
    one.reset(vec![object("a", 1)]).await.unwrap();
    drop(one);
    two.reset(vec![object("b", 2)]).await.unwrap();
    assert_eq!(told(&merged.recv().await.unwrap()), ["reset a:1 b:2"]);
    drop(two);
    assert!(merged.recv().await.is_none());
}
