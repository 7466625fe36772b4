//! The HTTP API under schemathesis: requests made from its own description, right and wrong ones, against the real server.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{PATIENCE, Server, Wish, peers, run};

const PASSWORD: &str = "correct horse battery";

#[tokio::test]
async fn the_api_is_what_its_description_says() {
    let mut server =
        Wish::plain().toml("[limits]\nlogins_per_minute = 0\nrequests_per_minute = 0\n").prepare().await;
    server.user("alice", "wonderland tea").await;
    server.user("tester", PASSWORD).await;
    server.start().await;
    // The role of an administrator beside the others, so that everything can be reached.
    let roles = ["user", "role", "tester", "admin,auditor,officer,key-custodian"];
    assert!(run(&mut server.chancery(&roles), "").await.status.success());
    let (cookie, csrf) = sign_in(&server).await;
    let root = format!("http://127.0.0.1:{}/api/v1", server.ports().http);
    std::fs::write(server.folder().join("schemathesis.toml"), configuration(&cookie, &csrf)).unwrap();

    let mut command = server.command_in(peers().join("venv/bin/schemathesis"), server.folder());
    command
        .args(["run", &format!("{root}/openapi.json"), "--url", &root])
        .args(["--checks", "all", "--max-examples", "20", "--seed", "1", "--no-color"])
        // It would end the session that everything else needs.
        .args(["--exclude-operation-id", "signOut", "--exclude-operation-id", "endSession"]);
    let said = timeout(Duration::from_secs(600), run(&mut command, "")).await.expect("no end");
    assert!(said.status.success(), "{}", said.text);
    server.assert_running();
}

/// Who asks, and what may be answered to requests that a schema cannot tell apart: a name that no address can have (422),
/// an `If-Match` that does not (412), an address of many kilobytes (431).
fn configuration(cookie: &str, csrf: &str) -> String {
    let (_, secret) = cookie.split_once('=').unwrap();
    format!(
        "[headers]\nX-CSRF-Token = \"{csrf}\"\n[auth.openapi.session]\napi_key = \"{secret}\"\n\
         [checks.positive_data_acceptance]\n\
         expected-statuses = [\"2xx\", \"401\", \"403\", \"404\", \"409\", \"412\", \"422\"]\n\
         [checks.negative_data_rejection]\n\
         expected-statuses = [\"400\", \"401\", \"403\", \"404\", \"409\", \"412\", \"413\", \"415\", \"422\", \"431\"]\n"
    )
}

/// The session's cookie and token.
async fn sign_in(server: &Server) -> (String, String) {
    let body = serde_json::json!({ "user": "tester", "password": PASSWORD }).to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", server.ports().http)).await.unwrap();
    let length = body.len();
    let request = format!(
        "POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("no answer").unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    let session: Value = serde_json::from_str(body).unwrap();
    (cookie.split(';').next().unwrap().to_owned(), session["csrf_token"].as_str().unwrap().to_owned())
}
