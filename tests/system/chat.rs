//! Other people's clients talk to each other through the server, over every transport.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::{
    harness::{DOMAIN, PATIENCE, Server, Wish, run, scripts},
    terminal::Terminal,
};

/// What `tests/peers/person.py` signs in with.
pub(crate) const PASSWORD: &str = "secret words";

/// A server as a company runs it: TLS and nothing but the defaults.
async fn company() -> Server {
    let mut server = Wish::default().prepare().await;
    server.user("alice", PASSWORD).await;
    server.user("bob", PASSWORD).await;
    server.start().await;
    server
}

/// Plays a scene of `tests/peers/scenes.py` to its end.
async fn scene(name: &str) {
    let mut server = company().await;
    assert!(server.python("scenes.py", &[name]).await.ends_with("done\n"));
    server.assert_running();
    server.stop().await;
    server.verify().await;
}

#[tokio::test]
async fn slixmpp_talks_over_starttls_and_direct_tls() {
    scene("chat").await;
}

#[tokio::test]
async fn a_push_service_wakes_a_phone_with_a_number_and_not_a_word() {
    let component =
        format!("[[components]]\ndomain = \"push.{DOMAIN}.example\"\nsecret = \"shared secret\"\n");
    let mut server = Wish::default().toml(&component).prepare().await;
    server.user("alice", PASSWORD).await;
    server.user("bob", PASSWORD).await;
    server.start().await;
    assert!(server.python("push_scene.py", &["wake"]).await.ends_with("done\n"));
    server.assert_running();
}

#[tokio::test]
async fn slixmpp_befriends_sees_presence_and_keeps_a_roster() {
    scene("roster").await;
}

#[tokio::test]
async fn slixmpp_blocks_and_unblocks() {
    scene("blocking").await;
}

#[tokio::test]
async fn slixmpp_reads_history_and_closes_its_gap() {
    scene("history").await;
}

#[tokio::test]
async fn slixmpp_gets_what_was_said_while_it_was_away_once() {
    scene("offline").await;
}

#[tokio::test]
async fn slixmpp_copies_a_conversation_to_the_second_device() {
    scene("carbons").await;
}

#[tokio::test]
async fn slixmpp_resumes_a_lost_connection_without_a_gap() {
    scene("resume").await;
}

#[tokio::test]
async fn aioxmpp_talks_resumes_and_blocks() {
    let mut server = company().await;
    assert!(server.python("aioxmpp_scene.py", &[]).await.ends_with("done\n"));
    server.assert_running();
}

#[tokio::test]
async fn a_browser_client_talks_over_a_websocket_resumes_and_reads_history() {
    let mut server = Wish::plain().prepare().await;
    server.user("alice", PASSWORD).await;
    server.user("bob", PASSWORD).await;
    server.start().await;
    let mut bob = answering(&server).await;
    let mut alice = server.command("node");
    server.describe(&mut alice).await;
    alice.arg(scripts().join("websocket_scene.mjs"));
    let said = run(&mut alice, "").await;
    assert!(said.status.success(), "{}", said.text);
    assert!(bob.wait().await.unwrap().success());
    server.assert_running();
}

#[tokio::test]
async fn go_sendxmpp_sends_and_listens_over_starttls_and_direct_tls() {
    let mut server = company().await;
    // Who listens later gets what was sent before, so neither has to wait for the other.
    for (from, to, send_tls, listen_tls) in [("alice", "bob", false, true), ("bob", "alice", true, false)] {
        let mut listener = go_sendxmpp(&server, to, listen_tls).await;
        let mut listener = listener.arg("-l").stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(listener.stdout.take().unwrap()).lines();
        let text = format!("{from} says grüezi, tls {send_tls}");
        let mut sender = go_sendxmpp(&server, from, send_tls).await;
        let said = run(sender.arg(format!("{to}@{DOMAIN}")), &text).await;
        assert!(said.status.success(), "{}", said.text);
        let line = timeout(PATIENCE, lines.next_line()).await.expect("nothing was heard").unwrap();
        let line = line.expect("the listener ended");
        assert!(line.ends_with(&format!("{from}@{DOMAIN}: {text}")), "{line}");
        listener.kill().await.unwrap();
    }
    server.assert_running();
}

#[tokio::test]
async fn profanity_talks_in_a_terminal_and_finds_its_history_on_a_new_one() {
    let server = company().await;
    let mut bob = answering(&server).await;
    {
        let terminal = Terminal::run(&server.folder().join("first"), "profanity").await;
        sign_in_to_profanity(&terminal, server.ports().xmpp, "trust").await;
        terminal.type_line(&format!("/msg bob@{DOMAIN} are you there, Bób?")).await;
        terminal.shows("?bóB ,ereht uoy era").await;
    }
    // Another machine, over direct TLS, which knows nothing yet.
    let terminal = Terminal::run(&server.folder().join("second"), "profanity").await;
    terminal.type_line("/mam on").await;
    sign_in_to_profanity(&terminal, server.ports().xmpp_tls, "legacy").await;
    terminal.type_line(&format!("/msg bob@{DOMAIN}")).await;
    terminal.shows("are you there, Bób?").await;
    terminal.shows("?bóB ,ereht uoy era").await;
    terminal.type_line("goodbye").await;
    assert!(timeout(PATIENCE, bob.wait()).await.expect("bob heard no goodbye").unwrap().success());
}

/// alice signs in.
pub(crate) async fn sign_in_to_profanity(terminal: &Terminal, port: u16, tls: &str) {
    terminal.shows("/register myjid myserver.org").await;
    terminal.type_line(&format!("/connect alice@{DOMAIN} server 127.0.0.1 port {port} tls {tls}")).await;
    terminal.shows("Enter password:").await;
    terminal.type_line(PASSWORD).await;
    if tls != "trust" {
        terminal.shows("/tls allow").await;
        terminal.type_line("/tls allow").await;
    }
    terminal.shows("logged in successfully").await;
}

/// bob, who answers everything backwards until somebody says goodbye.
async fn answering(server: &Server) -> Child {
    server.python_command("scenes.py").await.arg("echo").spawn().unwrap()
}

/// go-sendxmpp with an account; what it shall do is for the caller to say.
pub(crate) async fn go_sendxmpp(server: &Server, name: &str, direct_tls: bool) -> Command {
    let port = if direct_tls { server.ports().xmpp_tls } else { server.ports().xmpp };
    let mut command = server.command("go-sendxmpp");
    server.describe(&mut command).await;
    command.args(["-u", &format!("{name}@{DOMAIN}"), "-p", PASSWORD, "-j", &format!("127.0.0.1:{port}")]);
    if direct_tls {
        command.arg("-t");
    }
    command
}
