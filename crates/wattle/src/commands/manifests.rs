//! How a directory of manifests is named, and whose it is.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use wattle_source::Directory;

/// Reads `DIRECTORY`, or `NAMESPACE=DIRECTORY`.
pub(crate) fn parser() -> impl TypedValueParser<Value = Directory> {
    OsStringValueParser::new().try_map(|written| directory(&written))
}

fn directory(written: &OsStr) -> Result<Directory, String> {
    let bytes = written.as_bytes();
    let separator = bytes.iter().position(|byte| *byte == b'=');
    // A path that has a `/` before it is no namespace; everything else must be one, lest a slip opens all namespaces.
    let whose = separator.filter(|at| !bytes[..*at].contains(&b'/'));
    let Some(at) = whose else {
        return Ok(Directory::new(written));
    };
    let namespace = String::from_utf8_lossy(&bytes[..at]);
    if !wattle_api::is_label(&namespace) {
        return Err(format!(
            "found \"{namespace}\" before =, expected a namespace (write ./ before a directory with = in its name)"
        ));
    }
    let root = PathBuf::from(OsString::from(OsStr::from_bytes(&bytes[at + 1..])));
    if root.as_os_str().is_empty() {
        return Err(format!("expected a directory after {namespace}="));
    }
    Ok(Directory::new(root).only(&namespace))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(written: &str) -> Result<String, String> {
        directory(OsStr::new(written)).map(|found| format!("{found:?}"))
    }

    #[test]
    fn a_directory_is_everybodys_or_of_a_namespace() {
        let plain = |root: &str| format!("{:?}", Directory::new(root));
        for root in ["/a", "a", "./a=b", "/srv/a=b", "../x/shop=y"] {
            assert_eq!(read(root), Ok(plain(root)), "{root}");
        }
        for (written, root) in [
            ("shop=/a", "/a"),
            ("shop=a=b", "a=b"),
            ("shop=shop=/a", "shop=/a"),
        ] {
            let own = format!("{:?}", Directory::new(root).only("shop"));
            assert_eq!(read(written), Ok(own), "{written}");
        }
    }

    #[test]
    fn what_looks_like_a_namespace_and_is_none_does_not_open_all() {
        for written in ["Shop=/a", "sh op=/a", "=/a", "shop.web=/a", "shop="] {
            assert!(read(written).is_err(), "{written}");
        }
    }
}
