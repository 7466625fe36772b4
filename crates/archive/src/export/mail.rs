//! Mail messages (RFC 5322) whose attachments stream.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jid::Jid;
use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::date::Date;
use mail_builder::headers::text::Text;
use mail_builder::mime::{BodyPart, MimePart};
use sha2::{Digest, Sha256};

use crate::hex::hex;

/// A message, but for its attachments.
pub(crate) struct Letter {
    /// Who speaks, as a JID.
    pub(crate) from: String,
    /// To whom, as JIDs.
    pub(crate) to: Vec<String>,
    pub(crate) subject: String,
    /// Without the angle brackets.
    pub(crate) message_id: String,
    /// The message that it answers or changes.
    pub(crate) references: Option<String>,
    /// Seconds since 1970.
    pub(crate) date: i64,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) text: String,
}

impl Letter {
    /// The message up to where its attachments go, and the boundary between them.
    pub(crate) fn open(&self) -> (Vec<u8>, String) {
        // Nobody can write a text that has its own digest in it, so no line of it is taken for a boundary.
        let digest = Sha256::digest([self.message_id.as_bytes(), self.text.as_bytes()].concat());
        let boundary = format!("=_chancery_{}", hex(&digest[..16]));
        let text = MimePart::new("text/plain", BodyPart::Text(Cow::Borrowed(&self.text)));
        let kind = ContentType::new("multipart/mixed").attribute("boundary", boundary.as_str());
        let mut message = MessageBuilder::new()
            .from(address(&self.from))
            .to(Address::new_list(self.to.iter().map(|to| address(to)).collect()))
            .subject(Text::new(self.subject.as_str()))
            .message_id(self.message_id.as_str())
            .date(Date::new(self.date));
        if let Some(references) = &self.references {
            message = message.in_reply_to(references.as_str()).references(references.as_str());
        }
        for (name, value) in &self.headers {
            message = message.header(*name, Text::new(value.as_str()));
        }
        let message = message.body(MimePart::new(kind, BodyPart::Multipart(vec![text])));
        let mut out = Vec::new();
        message.serialize(&mut out);
        // The attachments come before the end.
        let end = close(&boundary);
        let body = out.strip_suffix(end.as_slice()).map_or(out.len(), <[u8]>::len);
        out.truncate(body);
        (out, boundary)
    }
}

/// What ends a message.
pub(crate) fn close(boundary: &str) -> Vec<u8> {
    format!("\r\n--{boundary}--\r\n").into_bytes()
}

/// What begins an attachment.
pub(crate) fn attachment(boundary: &str, media_type: &str, name: &str) -> Vec<u8> {
    let media_type = if is_media_type(media_type) { media_type } else { "application/octet-stream" };
    let empty = MimePart::new(media_type.to_owned(), BodyPart::Binary(Cow::Borrowed(b"")));
    let mut out = format!("\r\n--{boundary}\r\n").into_bytes();
    empty.attachment(name.to_owned()).transfer_encoding("base64").write_part(&mut out);
    out
}

fn is_media_type(text: &str) -> bool {
    let token = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    text.split_once('/').is_some_and(|(one, other)| token(one) && token(other))
}

/// A JID as an address of mail. One that has no local part, or that mail has no form for, is named beside it.
fn address(jid: &str) -> Address<'static> {
    let parsed = Jid::new(jid).ok();
    let domain = parsed.as_ref().map_or("invalid", |jid| jid.domain().as_str()).to_owned();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte);
    let local = parsed.as_ref().and_then(|jid| jid.node()).map(|node| node.as_str().to_owned());
    let local = match local {
        Some(local) if local.bytes().all(plain) => local,
        Some(local) => format!("x-{}", hex(&Sha256::digest(local)[..8])),
        None => "service".to_owned(),
    };
    Address::new_address(Some(jid.to_owned()), format!("{local}@{domain}"))
}

/// Base64 in lines of 76 letters (RFC 2045 §6.8), piece by piece.
#[derive(Default)]
pub(crate) struct Base64Lines(Vec<u8>);

impl Base64Lines {
    /// Bytes of a line.
    const LINE: usize = 57;

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.0.extend_from_slice(bytes);
        let whole = self.0.len() - self.0.len() % Self::LINE;
        let out = lines(&self.0[..whole]);
        self.0.drain(..whole);
        out
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        lines(&self.0)
    }
}

fn lines(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() / 57 * 78 + 78);
    for line in bytes.chunks(Base64Lines::LINE) {
        out.extend_from_slice(STANDARD.encode(line).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_in_pieces_is_the_same_as_at_once() {
        let bytes: Vec<u8> = (0..500u16).map(|n| n as u8).collect();
        let mut pieces = Base64Lines::default();
        let mut out = Vec::new();
        for piece in bytes.chunks(7) {
            out.extend(pieces.push(piece));
        }
        out.extend(pieces.finish());
        assert_eq!(out, lines(&bytes));
        assert!(out.split(|byte| *byte == b'\n').all(|line| line.len() <= 77));
    }

    #[test]
    fn a_message_is_well_formed_up_to_where_its_attachments_go() {
        let letter = Letter {
            from: "romeo@corp.example/ä\r\nBcc: x".into(),
            to: vec!["corp.example".into(), "jul\\20iet@corp.example".into()],
            subject: "Über \r\nBcc: everybody@corp.example".into(),
            message_id: "1@corp.example".into(),
            references: None,
            date: 0,
            headers: vec![("X-Chancery-Conversation", "ä".repeat(100))],
            text: "words".into(),
        };
        let (head, boundary) = letter.open();
        let text = String::from_utf8(head).unwrap();
        assert!(text.contains("Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n"), "{text}");
        assert!(text.contains(&format!("\r\n--{boundary}\r\n")), "{text}");
        assert!(!text.contains("\nBcc"), "{text}");
        assert!(!text.contains(&format!("{boundary}--")), "{text}");
        assert!(text.lines().all(|line| line.len() <= 998 && line.is_ascii()), "{text}");
        let part = String::from_utf8(attachment(&boundary, "evil\r\nX: y", "n\"a\r\nme.txt")).unwrap();
        assert!(part.starts_with("\r\n--") && part.ends_with("\r\n\r\n"), "{part:?}");
        assert!(part.contains("application/octet-stream") && !part.contains("\nme"), "{part}");
    }
}
