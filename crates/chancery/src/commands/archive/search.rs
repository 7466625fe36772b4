//! `chancery archive search`: what was said.

use std::process::ExitCode;

use serde_json::Value;
use server::admin::{Ask, no_progress};
use server::config::Sources;

use crate::cli::Who;
use crate::failure::Failure;
use crate::link::ask_office;
use crate::output::{Output, text};

/// Prints hits, with their words in colour where a person sees them. Exit code 1: nothing was found.
pub(crate) async fn run(
    who: &Who,
    ask: Ask,
    sources: &Sources,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let page = ask_office(who, ask, no_progress(), sources, output).await?;
    let coloured = output.is_coloured();
    let hits = page["hits"].as_array().map(Vec::as_slice).unwrap_or_default();
    if output.is_json() || !hits.is_empty() {
        output.value(&page, |_| {
            let blocks: Vec<String> = hits.iter().map(|hit| block(hit, coloured)).collect();
            let apart =
                hits.iter().any(|hit| !lines(&hit["before"]).is_empty() || !lines(&hit["after"]).is_empty());
            blocks.join(if apart { "\n--\n" } else { "\n" })
        });
    }
    for words in about(&page) {
        output.note(&words);
    }
    Ok(if hits.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What people should know beside the hits.
fn about(page: &Value) -> Vec<String> {
    let searched = &page["searched"];
    let mut notes = vec![format!("searched: {}", text(searched, "scope"))];
    if let Some(suggestion) = page["suggestion"].as_str() {
        notes.push(format!("did you mean: {suggestion}"));
    }
    if let Some(erased @ 1..) = searched["erased"].as_u64() {
        notes.push(format!("{erased} events in scope are erased; what they said is not known"));
    }
    if let Some(cursor) = page["cursor"].as_str() {
        notes.push(format!("there may be more: --cursor {cursor}"));
    }
    notes
}

fn lines(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A hit and what stands around it.
fn block(hit: &Value, coloured: bool) -> String {
    let beside = |line: &Value| message(line, &plain(&text(line, "text")), "-", coloured);
    let words = marked(&text(hit, "text"), lines(&hit["highlights"]), coloured);
    let before = lines(&hit["before"]).iter().map(beside);
    let after = lines(&hit["after"]).iter().map(beside);
    before.chain([message(hit, &words, ":", coloured)]).chain(after).collect::<Vec<_>>().join("\n")
}

fn message(line: &Value, words: &str, mark: &str, coloured: bool) -> String {
    let head = plain(&format!("{}  {} > {}", text(line, "time"), text(line, "from"), text(line, "to")));
    match coloured {
        true => format!("\x1b[2m{head}\x1b[0m{mark} {words}"),
        false => format!("{head}{mark} {words}"),
    }
}

/// Text that moves no cursor and changes no colour.
fn plain(words: &str) -> String {
    words.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// Text with its highlights, which count characters, in colour.
fn marked(words: &str, highlights: &[Value], coloured: bool) -> String {
    let letters: Vec<char> = plain(words).chars().collect();
    let mut out = String::with_capacity(words.len() + 16);
    let mut at = 0;
    for range in highlights.iter().filter(|_| coloured) {
        let place = |index: usize| range[index].as_u64().map_or(0, |place| place as usize).min(letters.len());
        let (start, end) = (place(0).max(at), place(1));
        if start < end {
            out.extend(&letters[at..start]);
            out.push_str("\x1b[1;33m");
            out.extend(&letters[start..end]);
            out.push_str("\x1b[0m");
            at = end;
        }
    }
    out.extend(&letters[at..]);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_are_marked_and_nothing_else_reaches_the_terminal() {
        let hit = json!({
            "time": "t", "from": "a", "to": "b", "text": "die \u{1b}[31mGröße zählt", "highlights": [[8, 13]],
            "before": [{"time": "s", "from": "b", "to": "a", "text": "und?"}], "after": [],
        });
        assert_eq!(block(&hit, false), "s  b > a- und?\nt  a > b: die  [31mGröße zählt");
        let coloured = block(&hit, true);
        assert!(
            coloured.contains("[31m\x1b[1;33mGröße\x1b[0m zählt") || coloured.contains("\x1b[1;33m"),
            "{coloured:?}"
        );
        assert!(!coloured.contains("\u{1b}[31m"));
    }

    #[test]
    fn what_was_not_searched_is_said() {
        let page = json!({
            "searched": {"scope": "your own conversations", "erased": 2}, "suggestion": "meeting", "cursor": "c",
        });
        let notes = about(&page).join("; ");
        for part in ["your own", "did you mean: meeting", "2 events", "--cursor c"] {
            assert!(notes.contains(part), "{notes}");
        }
    }
}
