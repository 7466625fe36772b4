//! A command's end of the operator's door.

use std::path::Path;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::{Fault, Order, Progress, Reply, Request, socket};

/// A conversation with a running server.
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Knocks. `None`: nobody is there.
    pub async fn connect(path: &Path) -> Result<Option<Self>, Fault> {
        use std::io::ErrorKind::{ConnectionRefused, NotFound};

        let (short, _folder) = match socket::short(path) {
            Ok(short) => short,
            Err(error) if error.kind() == NotFound => return Ok(None),
            Err(error) => return Err(Fault::failed(error)),
        };
        match UnixStream::connect(short).await {
            Ok(stream) => Ok(Some(Self { stream: BufReader::new(stream) })),
            Err(error) if matches!(error.kind(), NotFound | ConnectionRefused) => Ok(None),
            Err(error) => Err(Fault::failed(format!(
                "cannot talk to the running server at {}: {error}",
                path.display()
            ))),
        }
    }

    /// Asks and waits for the answer.
    pub async fn call(&mut self, request: &Request, progress: &Progress) -> Result<Value, Fault> {
        let mut line = serde_json::to_vec(&Order::here(request.clone())).map_err(Fault::failed)?;
        line.push(b'\n');
        self.stream.write_all(&line).await.map_err(gone)?;
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).await.map_err(gone)? == 0 {
                return Err(gone("it closed the conversation"));
            }
            match serde_json::from_str(&line).map_err(Fault::failed)? {
                Reply::Progress { done, total } => progress(done, total),
                Reply::Done { value } => return Ok(value),
                Reply::Fault(fault) => return Err(fault),
            }
        }
    }
}

fn gone(why: impl std::fmt::Display) -> Fault {
    Fault::failed(format!("the running server did not answer: {why}"))
}
