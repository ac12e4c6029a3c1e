//! Subsets: the endpoints of a backend that have certain labels. The labels are part of the backend's id, so that who
//! asks for the endpoints needs no DestinationRule.

use wattle_api::Labels;
use wattle_model::BackendId;

/// The id of the part of `whole` that has these labels; all of it for none.
pub(crate) fn id(whole: &BackendId, labels: &Labels) -> BackendId {
    if labels.is_empty() || whole.is_empty() {
        return whole.clone();
    }
    let labels: Vec<_> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    format!("{whole}|{}", labels.join(",")).into()
}

/// The whole and the labels that an id names.
pub(crate) fn of_id(id: &str) -> (&str, Labels) {
    let Some((whole, labels)) = id.split_once('|') else {
        return (id, Labels::new());
    };
    let pairs = labels.split(',').filter_map(|label| label.split_once('='));
    (
        whole,
        pairs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_back_to_the_whole_and_the_labels() {
        let labels: Labels = [("app.kubernetes.io/part", "x"), ("version", "v1")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let id = id(&"shop/reviews:9080".into(), &labels);
        assert_eq!(&*id, "shop/reviews:9080|app.kubernetes.io/part=x,version=v1");
        assert_eq!(of_id(&id), ("shop/reviews:9080", labels));
        assert_eq!(of_id("shop/reviews:9080"), ("shop/reviews:9080", Labels::new()));
    }
}
