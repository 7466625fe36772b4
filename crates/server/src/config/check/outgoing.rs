//! What leaves the archive by itself, and the mail server, from what was written to what can be trusted.

use std::path::PathBuf;
use std::time::Duration;

use axum::http::Uri;

use super::Check;
use crate::config::{ArchiveSettings, Goal, Mail, MailSecurity, Secret, raw};

/// Minutes between anchors.
const ANCHOR_MINUTES: u64 = 60;
/// A week: an anchor that is older proves little.
const MOST_ANCHOR_MINUTES: u64 = 7 * 24 * 60;

impl Check {
    pub(super) fn archive(&mut self, raw: &raw::Archive, has_mail: bool) -> ArchiveSettings {
        let minutes = raw.anchor_minutes.unwrap_or(ANCHOR_MINUTES);
        if !(1..=MOST_ANCHOR_MINUTES).contains(&minutes) {
            self.refuse("archive.anchor_minutes", &format!("must be between 1 and {MOST_ANCHOR_MINUTES}"));
        }
        let mut goals = |key: &str, texts: &[String]| -> Vec<Goal> {
            let goals = texts.iter().filter_map(|text| match self.goal(key, text) {
                Ok(goal) => Some(goal),
                Err(what) => {
                    self.refuse(key, &format!("{text:?} {what}"));
                    None
                }
            });
            goals.collect()
        };
        let (anchor, journal) =
            (goals("archive.anchor", &raw.anchor), goals("archive.journal", &raw.journal));
        if journal.iter().any(|goal| matches!(goal, Goal::Web(_))) {
            self.refuse("archive.journal", "takes file: and mailto: only");
        }
        let mails = |goals: &[Goal]| goals.iter().any(|goal| matches!(goal, Goal::Mail(_)));
        if !has_mail && (mails(&anchor) || mails(&journal)) {
            self.refuse("mail.server", "is missing: without it nothing can be mailed");
        }
        ArchiveSettings { anchor, anchor_every: Duration::from_secs(minutes.saturating_mul(60)), journal }
    }

    fn goal(&self, key: &str, text: &str) -> Result<Goal, &'static str> {
        if let Some(path) = text.strip_prefix("file:") {
            let path: PathBuf = self.path(key, path);
            return if path.as_os_str().is_empty() { Err("names no file") } else { Ok(Goal::File(path)) };
        }
        if let Some(to) = text.strip_prefix("mailto:") {
            return if is_mail_address(to) {
                Ok(Goal::Mail(to.to_owned()))
            } else {
                Err("is no mail address")
            };
        }
        let uri: Uri = text.parse().map_err(|_| "is none of file:, mailto: and https:")?;
        match (uri.scheme_str(), uri.host()) {
            (Some("https"), Some(_)) => Ok(Goal::Web(uri)),
            (Some("http"), Some("localhost" | "127.0.0.1" | "[::1]")) => Ok(Goal::Web(uri)),
            (Some("http"), _) => Err("must begin with https, for it leaves this machine"),
            _ => Err("is none of file:, mailto: and https:"),
        }
    }

    pub(super) fn mail(&mut self, raw: raw::Mail) -> Option<Mail> {
        let server = raw.server?;
        let security = match raw.security.as_deref() {
            None | Some("starttls") => MailSecurity::Starttls,
            Some("tls") => MailSecurity::Tls,
            Some("none") => MailSecurity::None,
            Some(_) => {
                self.refuse("mail.security", "is one of starttls, tls and none");
                MailSecurity::Starttls
            }
        };
        let usual = if security == MailSecurity::Tls { 465 } else { 587 };
        let (host, port) = match server.rsplit_once(':') {
            Some((host, port)) => (host.to_owned(), port.parse().ok()),
            None => (server.clone(), Some(usual)),
        };
        let Some(port) = port.filter(|port| *port > 0 && !host.is_empty()) else {
            self.refuse("mail.server", "is a name, or a name and a port: smtp.corp.example:587");
            return None;
        };
        let from = raw.from.unwrap_or_default();
        if !is_mail_address(&from) {
            self.refuse("mail.from", "must be the mail address that messages come from");
        }
        let credentials = match (raw.user, raw.password) {
            (Some(user), Some(password)) => Some((user, Secret::new(password))),
            (None, None) => None,
            _ => {
                self.refuse("mail.user", "and mail.password go together");
                None
            }
        };
        Some(Mail { host, port, security, from, credentials })
    }
}

/// Whether an address can be said to a mail server without quoting (RFC 5321 §4.1.2).
fn is_mail_address(text: &str) -> bool {
    let plain = |part: &str, more: &[u8]| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    let local = b"!#$%&'*+-/=?^_`{|}~.";
    text.len() <= 254
        && text.rsplit_once('@').is_some_and(|(name, domain)| plain(name, local) && plain(domain, b"-."))
}
