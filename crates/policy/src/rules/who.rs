//! Whom a rule is about.

use std::fmt;

use jid::BareJid;
use serde::{Deserialize, Serialize};

/// Some people.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Who {
    /// One person or room.
    Person(BareJid),
    /// A group of the company.
    Group(String),
    /// All addresses of a domain.
    Domain(String),
    /// All addresses of the domains below one.
    Below(String),
    /// Everybody.
    Everybody,
}

impl Who {
    /// Reads `romeo@corp.example`, `group:Sales`, `partner.example`, `*.partner.example` or `*`.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Everybody);
        }
        if let Some(group) = text.strip_prefix("group:") {
            let group = group.trim();
            return match group.is_empty() {
                true => Err("`group:` needs the name of a group after it.".to_owned()),
                false => Ok(Self::Group(group.to_owned())),
            };
        }
        if let Some(domain) = text.strip_prefix("*.") {
            return Ok(Self::Below(parse(domain, text)?.domain().as_str().to_owned()));
        }
        let address = parse(text, text)?;
        Ok(match address.node() {
            Some(_) => Self::Person(address),
            None => Self::Domain(address.domain().as_str().to_owned()),
        })
    }

    /// Whether somebody of these groups is meant.
    pub fn includes(&self, who: &BareJid, groups: &[String]) -> bool {
        match self {
            Self::Person(person) => person == who,
            Self::Group(group) => groups.contains(group),
            Self::Domain(domain) => who.domain().as_str() == domain,
            Self::Below(domain) => {
                let rest = who.domain().as_str().strip_suffix(domain.as_str());
                rest.is_some_and(|rest| rest.ends_with('.'))
            }
            Self::Everybody => true,
        }
    }
}

fn parse(text: &str, whole: &str) -> Result<BareJid, String> {
    BareJid::new(text).map_err(|_| {
        format!(
            "`{whole}` is no address, domain or group: write name@domain, domain, *.domain or group:Name."
        )
    })
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(person) => person.fmt(f),
            Self::Group(group) => write!(f, "group:{group}"),
            Self::Domain(domain) => domain.fmt(f),
            Self::Below(domain) => write!(f, "*.{domain}"),
            Self::Everybody => f.write_str("*"),
        }
    }
}

impl From<Who> for String {
    fn from(who: Who) -> Self {
        who.to_string()
    }
}

impl TryFrom<String> for Who {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_meant_by_address_group_and_domain() {
        let romeo = BareJid::new("romeo@sub.corp.example").unwrap();
        let groups = ["Sales".to_owned()];
        let yes = ["romeo@sub.corp.example", "group:Sales", "sub.corp.example", "*.corp.example", "*"];
        let no =
            ["juliet@sub.corp.example", "group:Board", "corp.example", "*.sub.corp.example", "*.rp.example"];
        for (texts, meant) in [(yes, true), (no, false)] {
            for text in texts {
                let who = Who::parse(text).unwrap();
                assert_eq!(who.includes(&romeo, &groups), meant, "{text}");
                assert_eq!(who.to_string(), text);
            }
        }
        for wrong in ["", "group:", "a@b@c", "*."] {
            assert!(Who::parse(wrong).is_err(), "{wrong}");
        }
    }
}
