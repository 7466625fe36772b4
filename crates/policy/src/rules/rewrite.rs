//! Carrying out changes of a text.

use super::{Change, Decision};
use crate::links;

/// The text as the changes of a decision want it.
pub fn rewrite(text: &str, decision: &Decision) -> String {
    let mut hidden = vec![false; text.len()];
    for (rule, _) in decision.changes.iter().filter(|(_, change)| *change == Change::Mask) {
        for evidence in decision.evidence.iter().filter(|evidence| evidence.rule == *rule) {
            if let Some(range) = hidden.get_mut(evidence.range.clone()) {
                range.fill(true);
            }
        }
    }
    let warnings: Vec<&str> = decision
        .changes
        .iter()
        .filter_map(|(_, change)| match change {
            Change::WarnOfLinks(warning) => Some(warning.as_str()),
            _ => None,
        })
        .collect();
    let first_link = match warnings.is_empty() {
        true => None,
        false => links::find(text).into_iter().find(|link| link.explicit).map(|link| link.range.start),
    };
    let mut out = String::with_capacity(text.len());
    for (at, letter) in text.char_indices() {
        if Some(at) == first_link {
            warnings.iter().for_each(|warning| out.extend(["[", *warning, "] "]));
        }
        let is_hidden = hidden.get(at).copied().unwrap_or_default() && letter.is_alphanumeric();
        out.push(if is_hidden { '•' } else { letter });
    }
    for (_, change) in &decision.changes {
        if let Change::Disclaimer(disclaimer) = change {
            out.extend(["\n\n", disclaimer]);
        }
    }
    out
}
