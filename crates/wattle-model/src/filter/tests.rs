use super::*;

fn facts<'a>(path: &'a str, query: Option<&'a str>, headers: &'a HeaderMap) -> RequestFacts<'a> {
    RequestFacts {
        method: "GET",
        scheme: "http",
        authority: "shop.test:8080",
        path,
        query,
        headers,
        caller: crate::CallerFacts::default(),
        remote_ip: None,
        token: None,
    }
}

#[test]
fn a_prefix_is_replaced_as_the_gateway_api_tabulates() {
    let table = [
        ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
        ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
        ("/foo", "/foo", "/xyz", "/xyz"),
        ("/foo/", "/foo", "/xyz", "/xyz/"),
        ("/foo/bar", "/foo", "", "/bar"),
        ("/foo/", "/foo", "", "/"),
        ("/foo", "/foo", "", "/"),
        ("/foo/", "/foo", "/", "/"),
        ("/foo", "/foo", "/", "/"),
        ("/bar", "/", "/xyz", "/xyz/bar"),
    ];
    for (path, prefix, new, expected) in table {
        let matched = PathMatch::Prefix(prefix.into());
        let rewrite = PathRewrite::Prefix(new.into());
        assert_eq!(
            rewrite.apply(path, Some(&matched)),
            expected,
            "{path} {prefix} {new}"
        );
    }
}

#[test]
fn a_rewrite_keeps_the_query() {
    let headers = HeaderMap::new();
    let request = facts("/old", Some("a=1"), &headers);
    let rewrite = UrlRewrite {
        host: None,
        path: Some(PathRewrite::Full("/new".into())),
    };
    assert_eq!(
        rewrite.path_and_query(&request, None).as_deref(),
        Some("/new?a=1")
    );
    assert_eq!(UrlRewrite::default().path_and_query(&request, None), None);
}

#[test]
fn headers_are_removed_then_set_then_added() {
    let name = |name| HeaderName::from_static(name);
    let value = |value| HeaderValue::from_static(value);
    let mut headers = HeaderMap::new();
    headers.append("x-a", value("old"));
    headers.append("x-a", value("older"));
    headers.append("x-b", value("gone"));
    let modifier = HeaderModifier {
        set: vec![(name("x-a"), value("set"))],
        add: vec![(name("x-a"), value("added")), (name("x-b"), value("new"))],
        remove: vec![name("x-b")],
    };
    modifier.apply(&mut headers);
    assert_eq!(
        headers.get_all("x-a").iter().collect::<Vec<_>>(),
        ["set", "added"]
    );
    assert_eq!(headers.get_all("x-b").iter().collect::<Vec<_>>(), ["new"]);
}

#[test]
fn a_redirect_goes_where_the_gateway_api_says() {
    let headers = HeaderMap::new();
    let base = Redirect {
        scheme: None,
        host: None,
        port: RedirectPort::Listener,
        path: None,
        status: 302,
    };
    let https = Redirect {
        scheme: Some("https".into()),
        ..base.clone()
    };
    let table = [
        (base.clone(), 80, "http://shop.test/p?q=1"),
        (base.clone(), 8080, "http://shop.test:8080/p?q=1"),
        (https.clone(), 8080, "https://shop.test/p?q=1"),
        (
            Redirect {
                port: RedirectPort::Fixed(8443),
                ..https.clone()
            },
            80,
            "https://shop.test:8443/p?q=1",
        ),
        (
            Redirect {
                port: RedirectPort::Fixed(443),
                ..base.clone()
            },
            80,
            "http://shop.test:443/p?q=1",
        ),
        (
            Redirect {
                host: Some("other.test".into()),
                ..base.clone()
            },
            80,
            "http://other.test/p?q=1",
        ),
        (
            Redirect {
                path: Some(PathRewrite::Full("/n".into())),
                ..base
            },
            80,
            "http://shop.test/n?q=1",
        ),
    ];
    for (redirect, port, expected) in table {
        assert_eq!(
            redirect.location(&facts("/p", Some("q=1"), &headers), port, None),
            expected
        );
    }
}

#[test]
fn a_request_without_a_host_is_redirected_on_its_own_server() {
    let headers = HeaderMap::new();
    let request = RequestFacts {
        authority: "",
        ..facts("/p", None, &headers)
    };
    let redirect = Redirect {
        scheme: None,
        host: None,
        port: RedirectPort::Listener,
        path: None,
        status: 302,
    };
    assert_eq!(redirect.location(&request, 80, None), "/p");
}

#[test]
fn the_port_is_not_part_of_the_host() {
    let table = [
        ("a:80", "a"),
        ("a", "a"),
        ("[::1]:80", "[::1]"),
        ("[::1]", "[::1]"),
        ("::1", "::1"),
        ("a:b", "a:b"),
    ];
    for (authority, host) in table {
        assert_eq!(host_of(authority), host);
    }
}
