//! No field is ignored in silence: for every field that is known, leaving it out or changing it changes what is
//! compiled, or a diagnostic says that the field has no effect. `docs/support.md` is written from the same findings;
//! `WATTLE_BLESS=1` writes it anew.

#![allow(clippy::unwrap_used)]

mod corpus;
mod edit;
mod effect;
mod exceptions;
mod mesh;
mod page;

use std::fs;
use std::path::Path;

#[test]
fn every_field_has_an_effect_or_is_reported_and_the_page_says_which() {
    let fields = effect::of_every_field();
    check_silence(&fields);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/support.md");
    let found = page::text(&fields);
    if std::env::var_os("WATTLE_BLESS").is_some() {
        fs::write(&page, &found).unwrap();
    }
    let agreed = fs::read_to_string(&page).unwrap_or_default();
    assert!(
        found == agreed,
        "docs/support.md is out of date: run this test with WATTLE_BLESS=1"
    );
}

fn check_silence(fields: &[(corpus::Field, effect::Effect)]) {
    let silent = fields
        .iter()
        .filter(|(_, effect)| *effect == effect::Effect::Silent);
    let (excused, silent): (Vec<_>, Vec<_>) = silent
        .map(|(field, _)| field.clone())
        .partition(|field| exceptions::of(field).is_some());
    let needless = exceptions::needless(&excused);
    let silent: Vec<_> = silent.iter().map(ToString::to_string).collect();
    assert!(
        silent.is_empty() && needless.is_empty(),
        "{} fields are ignored in silence:\n{}\nexceptions that no field needs:\n{}",
        silent.len(),
        silent.join("\n"),
        needless.join("\n")
    );
}
