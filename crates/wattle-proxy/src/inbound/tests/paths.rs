//! In which form paths are judged and reach the application.

use wattle_model::{Operation, PathNormalization, TextMatch};

use super::*;

/// Nobody may have what begins with this path, and everybody the rest.
fn without(port: u16, path: &str, paths: PathNormalization) -> Inbound {
    let mut inbound = open(port);
    inbound.paths = paths;
    inbound.authorization.allow[0].rules[0].to = vec![Operation {
        not_paths: vec![TextMatch::Prefix(path.into())],
        ..Operation::default()
    }];
    inbound
}

/// What the application is asked for; `None` where it is not asked.
async fn asked(paths: PathNormalization, sent: &str) -> Option<String> {
    let worker = worker();
    let local = application(async |request| {
        let target = request.head.path_and_query.as_str().as_bytes().to_vec();
        Response::new(StatusCode::OK, Body::Full(target.into()))
    })
    .await;
    tell(&worker, without(local.port(), "/admin", paths), &[], None);
    let request = Request::new(RequestHead::new(Method::GET, "a", sent.to_owned()), Body::Empty);
    let response = send(&worker, local, None, request).await;
    let body = response.body.collect(1000).await.unwrap();
    (response.head.status == 200).then(|| String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn what_is_judged_is_what_the_application_gets() {
    use PathNormalization::{AsSent, Base, DecodeAndMergeSlashes, MergeSlashes};
    let run = async {
        for form in [AsSent, Base, MergeSlashes, DecodeAndMergeSlashes] {
            for sent in ["/a/../b?c=//", "//a//b", "/x%2F..%2Fb", "/plain"] {
                let got = asked(form, sent).await;
                assert_eq!(got.as_deref(), Some(&*form.of(sent)), "{form:?}");
            }
            for sent in [
                "/admin",
                "/x/../admin/a",
                "//admin",
                "/x%2f..%5cadmin",
                "/%61dmin",
            ] {
                assert_eq!(asked(form, sent).await, None, "{form:?} {sent}");
            }
        }
    };
    LocalSet::new().run_until(run).await;
}
