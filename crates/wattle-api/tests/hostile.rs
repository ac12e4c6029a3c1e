//! Whatever is in a file, parsing it ends, takes bounded memory and says something.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use wattle_api::*;

fn codes(text: &str) -> Vec<&'static str> {
    parse(text, "f.yaml")
        .diagnostics
        .iter()
        .map(|diagnostic| diagnostic.code)
        .collect()
}

#[test]
fn a_laughing_alias_bomb_is_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let below = format!("*a{}", level - 1);
        let items = vec![below; 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    assert_eq!(codes(&text), ["invalid-yaml"]);
}

#[test]
fn a_long_text_repeated_by_aliases_is_refused() {
    let long = "x".repeat(1 << 20);
    let text = format!("a: &a \"{long}\"\nb: [{}]\n", vec!["*a"; 200].join(", "));
    assert_eq!(codes(&text), ["invalid-yaml"]);
}

#[test]
fn deep_nesting_is_refused() {
    for text in ["[".repeat(100_000), "- ".repeat(1_000), "{a: ".repeat(10_000)] {
        assert_eq!(codes(&text), ["invalid-yaml"]);
    }
}

#[test]
fn a_file_over_four_mebibytes_is_refused() {
    assert_eq!(codes(&"#\n".repeat(MAX_FILE_BYTES)), ["too-large"]);
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_line() {
    let parsed = parse_bytes(b"a: b\n\xff", "f.yaml");
    assert_eq!(
        (parsed.diagnostics[0].code, parsed.diagnostics[0].at.line),
        ("not-text", 2)
    );
}

#[test]
fn nothing_is_nothing() {
    for text in [
        "",
        "\n",
        "# only a comment\n",
        "---\n",
        "---\n---\n# x\n...\n",
        "\u{feff}",
        "%YAML 1.2\n---\n",
        "null",
    ] {
        let parsed = parse(text, "f.yaml");
        assert!(
            parsed.objects.is_empty() && parsed.diagnostics.is_empty(),
            "{text:?} {:?}",
            parsed.diagnostics
        );
    }
}

#[test]
fn a_long_licence_header_is_no_problem() {
    let text = format!(
        "{}apiVersion: v1\nkind: Namespace\n{}metadata: {{name: a}}\n",
        "# x\n".repeat(200),
        "# y\n".repeat(200)
    );
    assert_eq!(parse(&text, "f.yaml").objects.len(), 1);
}

#[test]
fn a_hundred_thousand_unknown_keys_are_refused_in_bounded_work() {
    let keys: String = (0..100_000)
        .map(|index| format!("  unknown-key-{index}: 1\n"))
        .collect();
    let text = format!("apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec:\n{keys}");
    let parsed = parse(&text, "f.yaml");
    assert_eq!(parsed.diagnostics.len(), 1);
    assert_eq!(parsed.diagnostics[0].more.len(), 15);
}

const SEED: &str = include_str!("seed.yaml");

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn parsing_any_text_ends(text in any::<String>()) {
        let _ = parse(&text, "f.yaml");
    }

    #[test]
    fn parsing_any_bytes_ends(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = parse_bytes(&bytes, "f.yaml");
    }

    #[test]
    fn text_of_yaml_signs_ends(text in "[-:{}\\[\\]&*!|>'\"%@#,?a0 \n\t.]{0,200}") {
        let _ = parse(&text, "f.yaml");
    }

    #[test]
    fn every_object_of_a_damaged_file_is_either_good_or_reported(
        at in 0..SEED.len(),
        noise in "[-:{}\\[\\]&*!|>'\"a0 \n]{0,6}",
        cut in 0..40usize,
    ) {
        let start = SEED.floor_char_boundary(at);
        let end = SEED.floor_char_boundary((start + cut).min(SEED.len()));
        let text = format!("{}{noise}{}", &SEED[..start], &SEED[end..]);
        let parsed = parse(&text, "f.yaml");
        let errors = parsed.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
        prop_assert_eq!(errors, parsed.refused.len());
        let lines = u32::try_from(text.lines().count() + 1).unwrap();
        for diagnostic in &parsed.diagnostics {
            prop_assert!(diagnostic.at.line <= lines, "{}", diagnostic);
        }
        for object in &parsed.objects {
            let manifest = object.manifest().unwrap().to_string();
            prop_assert_eq!(&parse(&manifest, "f.yaml").objects[0], object);
        }
    }
}
