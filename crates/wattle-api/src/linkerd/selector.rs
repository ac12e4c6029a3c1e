//! Kubernetes label selectors with expressions.

use serde::Serialize;

use crate::decode::{Cursor, Decoded};
use crate::meta::Labels;
use crate::scalar;

/// Most expressions or values of one.
const MAX_ITEMS: usize = 64;

/// Labels a workload must have; the default selects everything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// All of these.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub match_labels: Labels,
    /// All of these too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<LabelExpression>,
}

/// A condition on one label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LabelExpression {
    /// The label's key.
    pub key: String,
    /// How `values` are used.
    pub operator: LabelOperator,
    /// At least one for In and NotIn, none for the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// How an expression looks at a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum LabelOperator {
    /// It is there with one of the values.
    In,
    /// It is not there, or has none of the values.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

impl LabelSelector {
    /// Whether a workload with these labels is selected.
    #[must_use]
    pub fn selects(&self, labels: &Labels) -> bool {
        self.match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
            && self
                .match_expressions
                .iter()
                .all(|expression| expression.holds(labels))
    }
}

impl LabelExpression {
    fn holds(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        let named = value.is_some_and(|value| self.values.contains(value));
        match self.operator {
            LabelOperator::In => named,
            LabelOperator::NotIn => !named,
            LabelOperator::Exists => value.is_some(),
            LabelOperator::DoesNotExist => value.is_none(),
        }
    }
}

pub(crate) fn label_selector(cursor: &Cursor<'_>) -> Decoded<LabelSelector> {
    let fields = cursor.fields(&["matchLabels", "matchExpressions"])?;
    let match_labels = fields.optional("matchLabels", scalar::labels);
    let match_expressions = fields.list("matchExpressions", MAX_ITEMS, expression);
    Ok(LabelSelector {
        match_labels: match_labels?.unwrap_or_default(),
        match_expressions: match_expressions?,
    })
}

fn expression(cursor: &Cursor<'_>) -> Decoded<LabelExpression> {
    let fields = cursor.fields(&["key", "operator", "values"])?;
    let operators = [
        ("In", LabelOperator::In),
        ("NotIn", LabelOperator::NotIn),
        ("Exists", LabelOperator::Exists),
        ("DoesNotExist", LabelOperator::DoesNotExist),
    ];
    let key = fields.required("key", scalar::filled);
    let operator = fields.required("operator", |at| scalar::word(at, &operators));
    let values = fields.list("values", MAX_ITEMS, scalar::text);
    let expression = LabelExpression {
        key: key?,
        operator: operator?,
        values: values?,
    };
    let needs_values = matches!(expression.operator, LabelOperator::In | LabelOperator::NotIn);
    if needs_values == expression.values.is_empty() {
        let expected = if needs_values { "at least one" } else { "none" };
        return Err(cursor.refuse(
            "incompatible-fields",
            format!("found {} values, expected {expected}", expression.values.len()),
        ));
    }
    Ok(expression)
}
