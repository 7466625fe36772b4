//! The server's end of the operator's door.

use std::fs::{File, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use super::{Fault, FaultKind, Handler, Order, Progress, Reply};

/// The longest request.
const LINE_BYTES: u64 = 1 << 20;
/// How many may talk at once.
const CONVERSATIONS: usize = 16;
/// How often progress is told at most.
const PROGRESS_PAUSE: Duration = Duration::from_millis(100);
/// What fits into the kernel's address of a Unix socket, with a little room.
const PATH_BYTES: usize = 100;

/// Why the door cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("admin socket {path}: {source}")]
pub struct SocketError {
    path: PathBuf,
    source: std::io::Error,
}

/// A bound admin socket. Dropping it removes the socket from the file system.
pub struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl AdminSocket {
    /// Binds with mode 0600. A socket that a killed server left behind is replaced: whoever holds the data folder
    /// holds the name.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let bind = || {
            if std::fs::symlink_metadata(path).is_ok_and(|old| old.file_type().is_socket()) {
                std::fs::remove_file(path)?;
            }
            let (short, _folder) = short(path)?;
            // Nobody can connect between these two calls and stay: the peer's account is checked as well.
            let listener = UnixListener::bind(short)?;
            std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
            Ok(listener)
        };
        match bind() {
            Ok(listener) => Ok(Self { listener, path: path.to_owned() }),
            Err(source) => Err(SocketError { path: path.to_owned(), source }),
        }
    }

    /// Answers until `stop` turns true, then lets running requests end.
    pub async fn serve(self, handler: Arc<dyn Handler>, mut stop: watch::Receiver<bool>) {
        let room = Arc::new(Semaphore::new(CONVERSATIONS));
        let mut conversations = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => break,
                Some(_) = conversations.join_next() => continue,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "cannot accept on the admin socket");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            if !is_ours(&stream) {
                warn!("somebody else's process knocked at the admin socket");
                continue;
            }
            let Ok(place) = room.clone().try_acquire_owned() else { continue };
            let (handler, stop) = (handler.clone(), stop.clone());
            conversations.spawn(async move {
                let _place = place;
                if let Err(error) = converse(stream, handler, stop).await {
                    debug!(%error, "a conversation at the admin socket broke off");
                }
            });
        }
        while conversations.join_next().await.is_some() {}
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether the other end runs as this process's account, or as root.
fn is_ours(stream: &UnixStream) -> bool {
    use std::os::unix::fs::MetadataExt;

    // The owner of this very process, without a call that would need `unsafe`.
    let own = std::fs::metadata("/proc/self").map(|process| process.uid());
    match (stream.peer_cred(), own) {
        (Ok(peer), Ok(own)) => peer.uid() == own || peer.uid() == 0,
        // Where the system does not say, the mode of the socket is what counts.
        _ => true,
    }
}

/// A path that fits into a socket address. A long one goes by way of the open folder, which must stay open meanwhile.
pub(super) fn short(path: &Path) -> std::io::Result<(PathBuf, Option<File>)> {
    if path.as_os_str().len() <= PATH_BYTES {
        return Ok((path.to_owned(), None));
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(std::io::ErrorKind::InvalidInput.into());
    };
    let folder = File::open(parent)?;
    let through = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
    Ok((through, Some(folder)))
}

async fn converse(
    stream: UnixStream,
    handler: Arc<dyn Handler>,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = String::new();
        let mut limited = (&mut reader).take(LINE_BYTES);
        tokio::select! {
            read = limited.read_line(&mut line) => if read? == 0 { return Ok(()) },
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        }
        let reply = match serde_json::from_str::<Order>(&line) {
            Ok(order) => answer(order, &*handler, &mut writer).await?,
            // The parser's own words may quote the line, and the line may hold a password.
            Err(_) => Reply::Fault(Fault::new(
                FaultKind::Invalid,
                "the running server does not know this request; are command and server of one version?",
            )),
        };
        write(&mut writer, &reply).await?;
    }
}

/// Carries out one request and tells on the way how far it is.
async fn answer(order: Order, handler: &dyn Handler, writer: &mut OwnedWriteHalf) -> std::io::Result<Reply> {
    let name = order.request.name();
    info!(request = name, "admin request");
    // One place: a newer state replaces nothing, it is dropped, and the next one comes soon.
    let (told, mut tellings) = mpsc::channel(1);
    let last = Mutex::new(Instant::now());
    let progress: Progress = Arc::new(move |done, total| {
        let mut last = last.lock();
        if last.elapsed() >= PROGRESS_PAUSE && told.try_send((done, total)).is_ok() {
            *last = Instant::now();
        }
    });
    let mut work = handler.handle(order, progress);
    loop {
        tokio::select! {
            done = &mut work => {
                return Ok(match done {
                    Ok(value) => Reply::Done { value },
                    Err(fault) => {
                        info!(request = name, kind = ?fault.kind, "admin request refused");
                        Reply::Fault(fault)
                    }
                });
            }
            Some((done, total)) = tellings.recv() => write(writer, &Reply::Progress { done, total }).await?,
        }
    }
}

async fn write(writer: &mut OwnedWriteHalf, reply: &Reply) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    writer.write_all(&line).await
}
