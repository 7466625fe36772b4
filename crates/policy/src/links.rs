//! Where a text leads.

use std::ops::Range;

/// A link, or a domain that looks like one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it stands, in bytes of the text.
    pub range: Range<usize>,
    /// The host in lower case, without port and user.
    pub host: String,
    /// It has a scheme or begins with `www.`, so clients make a link of it.
    pub explicit: bool,
}

impl Link {
    /// Whether it leads to a domain or below one.
    pub fn is_at(&self, domain: &str) -> bool {
        let rest = self.host.strip_suffix(domain);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

/// Links that one text may have; the rest is not looked at.
const MOST: usize = 256;

/// Finds links and domains.
pub fn find(text: &str) -> Vec<Link> {
    let is_edge = |letter: char| letter.is_whitespace() || "<>\"'()[]{}|\\^`«»“”„,;".contains(letter);
    let mut links = Vec::new();
    let mut at = 0;
    for part in text.split(is_edge) {
        // The edge is part of the text, too.
        let start = at;
        at += part.len();
        at += text[at..].chars().next().map_or(0, char::len_utf8);
        let part = part.trim_end_matches(['.', '!', '?', ':', '…']);
        if part.contains('.')
            && let Some((host, explicit)) = host(part)
        {
            links.push(Link { range: start..start + part.len(), host, explicit });
            if links.len() >= MOST {
                break;
            }
        }
    }
    links
}

/// The host of what may be a link, and whether it is one for sure.
fn host(part: &str) -> Option<(String, bool)> {
    let (rest, has_scheme) = match part.split_once("://") {
        Some((scheme, rest)) => {
            let is_scheme = !scheme.is_empty()
                && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte));
            (rest, is_scheme)
        }
        None => (part, false),
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    let host = host.split(':').next()?.trim_end_matches('.');
    let (_, top) = host.rsplit_once('.')?;
    let is_label = |label: &str| {
        !label.is_empty() && label.chars().all(|letter| letter.is_alphanumeric() || letter == '-')
    };
    let is_host = host.split('.').all(is_label) && (has_scheme || top.chars().all(char::is_alphabetic));
    let host = host.to_lowercase();
    let explicit = has_scheme || host.starts_with("www.");
    is_host.then_some((host, explicit))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn links_and_domains_are_found_with_their_hosts() {
        let text = "See https://User:pw@Evil.example:8080/a?b, (www.corp.example) or evil.example. Not 3.14, e.g., or a.";
        let found: Vec<_> = find(text)
            .into_iter()
            .map(|link| (text[link.range.clone()].to_owned(), link.host, link.explicit))
            .collect();
        let found: Vec<_> =
            found.iter().map(|(text, host, is)| (text.as_str(), host.as_str(), *is)).collect();
        assert_eq!(
            found,
            [
                ("https://User:pw@Evil.example:8080/a?b", "evil.example", true),
                ("www.corp.example", "www.corp.example", true),
                ("evil.example", "evil.example", false),
                ("e.g", "e.g", false),
            ]
        );
        let link = &find("http://a.evil.example")[0];
        assert!(link.is_at("evil.example") && !link.is_at("vil.example") && !link.is_at("b.evil.example"));
        assert_eq!(find("http://127.0.0.1/")[0].host, "127.0.0.1");
    }

    proptest! {
        #[test]
        fn every_range_is_of_the_text(text in "(\\PC|[a-z.:/@ ]){0,60}") {
            for link in find(&text) {
                prop_assert!(text.get(link.range).is_some());
            }
        }
    }
}
