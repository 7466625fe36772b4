//! Handing mail to the company's server (RFC 5321, RFC 3207, RFC 4954).

use std::io;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::sync::Mutex;
use vault::Micros;

use super::link::{self, Stream, patiently};
use crate::config::{Mail, MailSecurity};

/// Bytes of the longest line of a reply (RFC 5321 §4.5.3.1.5 says 512).
const LONGEST_LINE: u64 = 4096;
/// Lines of a reply at most.
const MOST_LINES: usize = 128;

/// Sends to one recipient, over a connection that it keeps.
pub(super) struct Mailer {
    settings: Arc<Mail>,
    to: String,
    session: Mutex<Option<Session<'static>>>,
}

struct Session<'a> {
    stream: BufReader<Box<dyn Stream + 'a>>,
}

struct Reply {
    code: u16,
    lines: Vec<String>,
}

impl Mailer {
    pub(super) fn new(settings: Arc<Mail>, to: String) -> Self {
        Self { settings, to, session: Mutex::new(None) }
    }

    pub(super) fn from(&self) -> &str {
        &self.settings.from
    }

    pub(super) fn to(&self) -> &str {
        &self.to
    }

    /// Hands a message over. It has been taken when this returns.
    pub(super) async fn send(&self, message: &[u8]) -> io::Result<()> {
        let mut kept = self.session.lock().await;
        let mut session = match kept.take() {
            // The other side may have hung up meanwhile.
            Some(mut session) => match session.order("RSET", &[250]).await {
                Ok(_) => session,
                Err(_) => Session::open(&self.settings).await?,
            },
            None => Session::open(&self.settings).await?,
        };
        session.order(&format!("MAIL FROM:<{}>", self.settings.from), &[250]).await?;
        session.order(&format!("RCPT TO:<{}>", self.to), &[250, 251]).await?;
        session.order("DATA", &[354]).await?;
        session.write(&stuffed(message)).await?;
        session.expect(&[250]).await?;
        *kept = Some(session);
        Ok(())
    }
}

impl Session<'static> {
    async fn open(settings: &Mail) -> io::Result<Self> {
        let (host, port) = (settings.host.as_str(), settings.port);
        let stream = link::connect(host, port).await?;
        let here = link::is_here(&stream);
        let mut session = match settings.security {
            MailSecurity::Tls => {
                let mut session = Self::over(Box::new(link::secure(stream, host).await?));
                session.expect(&[220]).await?;
                session.greet().await?;
                session
            }
            MailSecurity::Starttls => {
                let mut stream = stream;
                let mut plain = Session::over(Box::new(&mut stream));
                plain.expect(&[220]).await?;
                plain.greet().await?.offers("STARTTLS")?;
                plain.order("STARTTLS", &[220]).await?;
                if !plain.stream.buffer().is_empty() {
                    // Somebody put words before the encryption that would count after it (RFC 3207 §4.2).
                    return Err(nonsense());
                }
                drop(plain);
                let mut session = Self::over(Box::new(link::secure(stream, host).await?));
                session.greet().await?;
                session
            }
            MailSecurity::None if !here => {
                return Err(io::Error::other("mail.security = \"none\" is for this machine only"));
            }
            MailSecurity::None => {
                let mut session = Self::over(Box::new(stream));
                session.expect(&[220]).await?;
                session.greet().await?;
                session
            }
        };
        if let Some((user, password)) = &settings.credentials {
            let plain = STANDARD.encode(format!("\0{user}\0{}", password.expose()));
            session.order(&format!("AUTH PLAIN {plain}"), &[235]).await?;
        }
        Ok(session)
    }
}

impl<'a> Session<'a> {
    fn over(stream: Box<dyn Stream + 'a>) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    async fn greet(&mut self) -> io::Result<Reply> {
        self.order("EHLO chancery.invalid", &[250]).await
    }

    /// Sends a command and takes one of these answers.
    async fn order(&mut self, command: &str, codes: &[u16]) -> io::Result<Reply> {
        self.write(format!("{command}\r\n").as_bytes()).await?;
        self.expect(codes).await
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        patiently(async {
            self.stream.get_mut().write_all(bytes).await?;
            self.stream.get_mut().flush().await
        })
        .await
    }

    async fn expect(&mut self, codes: &[u16]) -> io::Result<Reply> {
        let reply = patiently(self.reply()).await?;
        match codes.contains(&reply.code) {
            true => Ok(reply),
            // What the server says may name people; its number does not.
            false => Err(io::Error::other(format!("the mail server answered {}", reply.code))),
        }
    }

    /// RFC 5321 §4.2.1.
    async fn reply(&mut self) -> io::Result<Reply> {
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            (&mut self.stream).take(LONGEST_LINE).read_until(b'\n', &mut line).await?;
            let text = std::str::from_utf8(&line).ok().and_then(|line| line.strip_suffix("\r\n"));
            let (code, rest) = text.and_then(|text| text.split_at_checked(3)).ok_or_else(nonsense)?;
            let code: u16 =
                code.parse().ok().filter(|code| (200..600).contains(code)).ok_or_else(nonsense)?;
            let more = match rest.as_bytes().first() {
                Some(b'-') => true,
                None | Some(b' ') => false,
                Some(_) => return Err(nonsense()),
            };
            lines.push(rest.get(1..).unwrap_or_default().to_owned());
            if !more {
                return Ok(Reply { code, lines });
            }
            if lines.len() >= MOST_LINES {
                return Err(nonsense());
            }
        }
    }
}

impl Reply {
    fn offers(&self, extension: &str) -> io::Result<()> {
        let offered = self.lines.iter().skip(1).any(|line| line.eq_ignore_ascii_case(extension));
        match offered {
            true => Ok(()),
            false => Err(io::Error::other(format!("the mail server does not offer {extension}"))),
        }
    }
}

fn nonsense() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the mail server does not speak SMTP")
}

/// A message as DATA carries it: every line ends alike, and one that begins with a dot has one more (RFC 5321 §4.5.2).
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + message.len() / 50 + 5);
    let text = message.strip_suffix(b"\n").unwrap_or(message);
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend(line.iter().filter(|byte| **byte != b'\r'));
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// A moment as mail writes it.
pub(super) fn date(time: Micros) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(time.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    moment.format(&Rfc2822).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_end_early_and_its_lines_end_alike() {
        assert_eq!(stuffed(b"a\r\n.\r\nQUIT\r\n"), b"a\r\n..\r\nQUIT\r\n.\r\n");
        assert_eq!(stuffed(b"a\n..b\rc\r"), b"a\r\n...bc\r\n.\r\n");
    }
}
