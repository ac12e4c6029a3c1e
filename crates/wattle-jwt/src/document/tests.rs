use super::*;

fn read(json: &str) -> Result<Document, Fault> {
    Document::parse(json.as_bytes().to_vec())
}

fn fault(json: &str) -> Option<Fault> {
    read(json).err()
}

fn text_at(document: &Document, name: &str) -> Option<String> {
    match document.member(document.root(), name)? {
        Node::Text(span) => Some(document.text(span).to_owned()),
        _ => None,
    }
}

#[test]
fn strings_are_found_under_their_names_in_whatever_order_and_spelling() {
    let document = read(r#" {"b":"1","":"2","a\"b":"3\n","ä":"\u00e4\ud83d\ude00","a":""} "#).unwrap();
    for (name, value) in [("b", "1"), ("", "2"), ("a\"b", "3\n"), ("ä", "ä😀"), ("a", "")] {
        assert_eq!(text_at(&document, name).as_deref(), Some(value), "{name:?}");
    }
    assert_eq!(text_at(&document, "c"), None);
}

#[test]
fn nested_objects_and_lists_keep_their_entries_apart() {
    let document = read(r#"{"a":{"x":"1","y":["2",{"z":"3"},[]]},"b":{"x":"4"}}"#).unwrap();
    let Some(Node::Object(a)) = document.member(document.root(), "a") else {
        panic!("a is an object");
    };
    let Some(Node::List(y)) = document.member(a, "y") else {
        panic!("y is a list");
    };
    assert_eq!((a.len(), y.len()), (2, 3));
    let entries = document.members(y);
    assert!(matches!(entries[0].value, Node::Text(span) if document.text(span) == "2"));
    assert!(matches!(entries[1].value, Node::Object(object) if document.member(object, "z").is_some()));
    assert!(matches!(entries[2].value, Node::List(list) if list.len() == 0));
}

#[test]
fn a_name_twice_is_refused_at_any_depth_and_in_any_spelling() {
    for json in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"b":2,"c":3,"\u0061":4}"#,
        r#"{"x":{"a":1,"a":2}}"#,
        r#"{"x":[{"y":[{"a":1,"b":1,"a":2}]}]}"#,
        r#"{"":1,"":2}"#,
    ] {
        assert_eq!(fault(json), Some(Fault::Duplicate), "{json}");
    }
    assert_eq!(fault(r#"{"a":{"a":{"a":1}},"A":1,"b":{"a":1}}"#), None);
}

#[test]
fn only_one_json_object_is_read() {
    for json in [
        "",
        " ",
        "{",
        "{}{}",
        "{},",
        "{}x",
        "{'a':1}",
        "{\"a\":1,}",
        "{\"a\":01}",
        "{\"a\":1e999}",
    ] {
        assert_eq!(fault(json), Some(Fault::Syntax), "{json:?}");
    }
    for json in [
        "{\"a\":\"\n\"}",
        "{\"a\":\"\0\"}",
        "{\"a\":\"\\ud800\"}",
        "\u{feff}{}",
        "{\"a\":NaN}",
        "{}\0",
    ] {
        assert_eq!(fault(json), Some(Fault::Syntax), "{json:?}");
    }
    for json in ["[]", "null", "1", "\"a\"", "true"] {
        assert_eq!(fault(json), Some(Fault::NotAnObject), "{json:?}");
    }
    assert_eq!(
        Document::parse(b"{\"a\":\"\xff\"}".to_vec()).err(),
        Some(Fault::Syntax)
    );
}

#[test]
fn depth_is_bounded() {
    let nested = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(fault(&nested(MAX_DEPTH - 1)), None);
    assert_eq!(fault(&nested(MAX_DEPTH)), Some(Fault::TooDeep));
    assert_eq!(fault(&nested(4000)), Some(Fault::TooDeep));
    assert_eq!(fault(&"{\"a\":".repeat(3000)), Some(Fault::TooDeep));
}

#[test]
fn whole_numbers_are_exact() {
    let document =
        read(r#"{"a":18446744073709551615,"b":-9223372036854775808,"c":1.5,"d":18446744073709551616}"#);
    let document = document.unwrap();
    let shown = |name| match document.member(document.root(), name) {
        Some(Node::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    assert_eq!(shown("a"), "18446744073709551615");
    assert_eq!(shown("b"), "-9223372036854775808");
    assert_eq!(shown("c"), "1.5");
    assert_eq!(shown("d"), "18446744073709552000");
}
