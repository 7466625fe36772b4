//! Anchors by HTTP POST.

use std::io;

use archive::{Anchor, Keeper};
use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Request, Uri, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::link::{self, Stream};

/// Posts to one address.
pub(super) struct Poster {
    uri: Uri,
}

impl Poster {
    pub(super) fn new(uri: Uri) -> Self {
        Self { uri }
    }

    async fn post(&self, body: String) -> io::Result<()> {
        let host = self.uri.host().ok_or(io::ErrorKind::InvalidInput)?;
        let plain = self.uri.scheme_str() == Some("http");
        let port = self.uri.port_u16().unwrap_or(if plain { 80 } else { 443 });
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let stream = link::connect(name, port).await?;
        let stream: Box<dyn Stream> = match plain {
            true if !link::is_here(&stream) => {
                return Err(io::Error::other("http is for this machine only; use https"));
            }
            true => Box::new(stream),
            false => Box::new(link::secure(stream, name).await?),
        };
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let connection = tokio::spawn(connection);
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let request = Request::post(path)
            .header(header::HOST, self.uri.authority().map_or(host, |authority| authority.as_str()))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, "chancery")
            .body(Body::from(body))
            .map_err(io::Error::other)?;
        let answer =
            link::patiently(async { sender.send_request(request).await.map_err(io::Error::other) }).await;
        connection.abort();
        let status = answer?.status();
        match status.is_success() {
            true => Ok(()),
            false => Err(io::Error::other(format!("the answer was {status}"))),
        }
    }
}

#[async_trait]
impl Keeper for Poster {
    async fn keep(&self, anchor: &Anchor) -> Result<(), String> {
        self.post(anchor.line()).await.map_err(|error| error.to_string())
    }
}
