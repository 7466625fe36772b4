use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use futures_util::future::FutureExt;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::*;

/// Counts to three and repeats the request's name.
struct Echo;

impl Handler for Echo {
    fn handle(&self, order: Order, progress: Progress) -> BoxFuture<'_, Result<Value, Fault>> {
        async move {
            match order.request {
                Request::UserRemove { user } => Err(Fault::new(FaultKind::Missing, format!("no {user}"))),
                Request::ArchiveVerify { .. } => {
                    // Slower than the pause between two tellings.
                    for done in 1..=3 {
                        tokio::time::sleep(std::time::Duration::from_millis(120)).await;
                        progress(done, 3);
                    }
                    Ok("verified".into())
                }
                other => Ok(other.name().into()),
            }
        }
        .boxed()
    }
}

fn open(path: &Path) -> (watch::Sender<bool>, tokio::task::JoinHandle<()>) {
    let socket = AdminSocket::bind(path).unwrap();
    let (stop, stopped) = watch::channel(false);
    (stop, tokio::spawn(socket.serve(Arc::new(Echo), stopped)))
}

#[tokio::test]
async fn a_command_asks_and_the_server_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.sock");
    let _server = open(&path);
    let mut client = Client::connect(&path).await.unwrap().unwrap();
    assert_eq!(client.call(&Request::Status, &no_progress()).await, Ok("status".into()));
    let remove = Request::UserRemove { user: "anna".into() };
    assert_eq!(client.call(&remove, &no_progress()).await, Err(Fault::new(FaultKind::Missing, "no anna")));
    assert_eq!(client.call(&Request::UserList, &no_progress()).await, Ok("user-list".into()));
}

#[tokio::test]
async fn long_work_tells_how_far_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.sock");
    let _server = open(&path);
    let told = Arc::new(Mutex::new(Vec::new()));
    let progress: Progress = {
        let told = told.clone();
        Arc::new(move |done, total| told.lock().push((done, total)))
    };
    let mut client = Client::connect(&path).await.unwrap().unwrap();
    client.call(&Request::ArchiveVerify { public_key: None, anchors: None }, &progress).await.unwrap();
    assert!(told.lock().contains(&(1, 3)), "{:?}", told.lock());
}

#[tokio::test]
async fn the_socket_belongs_to_its_owner_alone_and_goes_with_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.sock");
    let (stop, server) = open(&path);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    stop.send(true).unwrap();
    server.await.unwrap();
    assert!(!path.exists());
    assert!(Client::connect(&path).await.unwrap().is_none());
}

#[tokio::test]
async fn what_a_killed_server_left_behind_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.sock");
    // Bound and leaked: the file stays, nobody listens.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(Client::connect(&path).await.unwrap().is_none());
    let _server = open(&path);
    assert!(Client::connect(&path).await.unwrap().is_some());
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.sock");
    std::fs::write(&path, "precious").unwrap();
    assert!(AdminSocket::bind(&path).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn a_path_longer_than_a_socket_address_works() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("d".repeat(120));
    std::fs::create_dir(&deep).unwrap();
    let path = deep.join("data.sock");
    let _server = open(&path);
    let mut client = Client::connect(&path).await.unwrap().unwrap();
    assert!(client.call(&Request::Status, &no_progress()).await.is_ok());
}

#[tokio::test]
async fn a_line_that_is_no_request_is_refused_without_repeating_it() {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.sock");
    let _server = open(&path);
    let mut stream = BufReader::new(tokio::net::UnixStream::connect(&path).await.unwrap());
    stream.write_all(b"{\"request\":\"user-add\",\"passwort\":\"hunter2\"}\n").await.unwrap();
    let mut reply = String::new();
    stream.read_line(&mut reply).await.unwrap();
    assert!(reply.contains("\"invalid\"") && !reply.contains("hunter2"), "{reply}");
}
