//! Other people's clients meet in a room (XEP-0045).

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{ChildStdout, Command},
    time::timeout,
};

use crate::{
    chat::{PASSWORD, sign_in_to_profanity},
    harness::{DOMAIN, PATIENCE, Server, Wish, run, scripts},
    terminal::Terminal,
};

/// The room that everybody meets in.
const ROOM: &str = "den@conference.corp.example";

/// A server with these people.
async fn company(wish: Wish, people: &[&str]) -> Server {
    let mut server = wish.prepare().await;
    for name in people {
        server.user(name, PASSWORD).await;
    }
    server.start().await;
    server
}

/// Makes the room with Profanity.
async fn alice(server: &Server) -> Terminal {
    let alice = Terminal::run(&server.folder().join("profanity"), "profanity").await;
    sign_in_to_profanity(&alice, server.ports().xmpp, "trust").await;
    alice.type_line("/presence room all").await;
    alice.type_line(&format!("/join {ROOM}")).await;
    alice.shows("Room locked, requires configuration").await;
    alice.type_line("/room accept").await;
    alice.shows("Room unlocked").await;
    alice
}

/// carol with mcabber, signed in.
async fn carol(server: &Server) -> Terminal {
    let home = server.folder().join("mcabber");
    std::fs::create_dir_all(&home).unwrap();
    let settings = format!(
        "set jid = carol@{DOMAIN}\nset password = {PASSWORD}\nset server = 127.0.0.1\nset port = {}\nset tls = 1\n\
         set ssl_ignore_checks = 1\n",
        server.ports().xmpp
    );
    std::fs::write(home.join("mcabberrc"), settings).unwrap();
    let carol = Terminal::run(&home, &format!("mcabber -f {}", home.join("mcabberrc").display())).await;
    carol.shows("Your status has been set").await;
    carol
}

/// bob with poezio, signed in.
async fn bob(server: &Server) -> Terminal {
    let home = server.folder().join("poezio");
    std::fs::create_dir_all(home.join("config/poezio")).unwrap();
    let settings = format!(
        "[Poezio]\njid = bob@{DOMAIN}\npassword = {PASSWORD}\ncustom_host = 127.0.0.1\ncustom_port = {}\n\
         ca_cert_path = {}\n",
        server.ports().xmpp,
        server.certificate().await.display()
    );
    std::fs::write(home.join("config/poezio/poezio.cfg"), settings).unwrap();
    // It refuses to run as root, so it is told that it is somebody else.
    let bob = Terminal::run(&home, "unshare --user --map-user=1000 poezio").await;
    let screen = bob.shows("Your JID is bob@").await;
    assert!(!screen.contains("Disconnected"), "not at once:\n{screen}");
    bob
}

/// poezio takes what comes at once for something pasted, and its first screen listens to single keys.
async fn type_in_poezio(terminal: &Terminal, line: &str) {
    let (first, rest) = line.split_at(1);
    terminal.type_text(first).await;
    terminal.shows(&format!("│{first}")).await;
    terminal.type_text(rest).await;
    terminal.shows(&format!("│{line}")).await;
    terminal.press("Enter").await;
}

#[tokio::test]
async fn profanity_and_mcabber_talk_in_a_room_until_one_is_kicked() {
    let mut server = company(Wish::default(), &["alice", "carol"]).await;
    let alice = alice(&server).await;
    alice.type_line("/subject set Otters").await;
    alice.shows("alice has set the room subject: Otters").await;
    alice.type_line("one from profanity").await;
    alice.shows("alice: one from profanity").await;

    // Who comes late reads what was said and what it is about.
    let carol = carol(&server).await;
    carol.type_line(&format!("/room join {ROOM} carol")).await;
    carol.shows("You have joined den").await;
    carol.type_line("/roster search den").await;
    // An empty line opens what was found.
    carol.type_line("").await;
    carol.shows("<alice> one from profanity").await;
    carol.shows("alice has set the topic to: Otters").await;
    carol.type_line("two from mcabber").await;
    carol.shows("<carol> two from mcabber").await;
    alice.shows("carol: two from mcabber").await;

    alice.type_line("/subject set Beavers").await;
    carol.shows("alice has set the topic to: Beavers").await;
    // A word in private, and the answer.
    carol.type_line("/room privmsg alice psst").await;
    alice.shows("[3]").await;
    alice.type_line("/win 3").await;
    alice.shows("carol: psst").await;
    alice.type_line("what is it?").await;
    carol.shows("what is it?").await;

    alice.type_line("/win 2").await;
    let screen = alice.shows("two from mcabber").await;
    assert!(!screen.contains("psst"), "{screen}");
    alice.type_line("/kick carol enough").await;
    alice.shows("carol has been kicked from the room by alice, reason: enough").await;
    carol.shows("You have been kicked from den").await;
    server.assert_running();
    server.stop().await;
    server.verify().await;
}

#[tokio::test]
async fn poezio_speaks_and_whispers_in_a_room_and_leaves() {
    let mut server = company(Wish::default(), &["alice", "bob"]).await;
    let alice = alice(&server).await;
    alice.type_line("/subject set Otters").await;
    alice.shows("alice has set the room subject: Otters").await;
    let bob = bob(&server).await;
    type_in_poezio(&bob, &format!("/join {ROOM}/bob")).await;
    // What was said before it fetches from the room's archive, but shows only sometimes: its window locks itself.
    bob.shows("│Otters").await;
    bob.shows("~alice").await;
    type_in_poezio(&bob, "one from poezio").await;
    alice.shows("bob: one from poezio").await;

    alice.type_line("/msg bob psst").await;
    alice.shows("me: psst").await;
    bob.shows("2.alice").await;
    type_in_poezio(&bob, "/query alice").await;
    bob.shows("alice> psst").await;
    type_in_poezio(&bob, "what is it?").await;
    alice.shows("bob: what is it?").await;

    type_in_poezio(&bob, "/win 1").await;
    type_in_poezio(&bob, "/part goodbye").await;
    alice.type_line("/win 2").await;
    alice.shows("bob has left the room").await;
    server.assert_running();
}

#[tokio::test]
async fn every_client_of_a_room_hears_the_same_order() {
    let people = ["alice", "bob", "carol"];
    // xmpp.js over a WebSocket has no TLS here.
    let mut server = company(Wish::plain(), &people).await;
    let count = people.len().to_string();
    let mut alice = server.python_command("room.py").await;
    let mut alice = hearing(alice.args(["talk", "alice", &count]));
    // She makes the room; a room that is not open yet lets nobody in.
    assert_eq!(next(&mut alice).await, "open");
    let mut bob = server.python_command("room.py").await;
    let mut bob = hearing(bob.args(["talk", "bob", &count]));
    assert_eq!(next(&mut bob).await, "open");
    let mut carol = server.command("node");
    server.describe(&mut carol).await;
    let mut carol = hearing(carol.arg(scripts().join("room.mjs")).args(["carol", &count]));

    for number in 0..people.len() * 20 {
        let heard = next(&mut alice).await;
        assert_eq!(next(&mut bob).await, heard, "word {number}");
        assert_eq!(next(&mut carol).await, heard, "word {number}");
    }
    assert_eq!(next(&mut alice).await, "done");
    assert_eq!(next(&mut bob).await, "done");
    server.assert_running();
}

/// Starts a client that says what it hears.
fn hearing(command: &mut Command) -> Lines<BufReader<ChildStdout>> {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // It ends by itself when it has heard all.
    tokio::spawn(async move { child.wait().await });
    lines
}

async fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    timeout(PATIENCE, lines.next_line()).await.expect("nothing was heard").unwrap().expect("it ended early")
}

#[tokio::test]
async fn files_go_from_slixmpp_and_go_sendxmpp_to_whoever_gets_the_link() {
    let mut server = company(Wish::default(), &["alice", "bob"]).await;
    let file = server.folder().join("otter.txt");
    std::fs::write(&file, "a file about otters\n".repeat(10_000)).unwrap();
    let file = file.to_str().unwrap();
    // bob uploads with slixmpp and fetches again, as whoever has the link does.
    assert!(server.python("room.py", &["upload", "bob", file]).await.ends_with("done\n"));

    let mut bob = server.python_command("room.py").await;
    let mut bob = hearing(bob.args(["fetch", "bob", file]));
    assert_eq!(next(&mut bob).await, "listening");
    let mut alice = crate::chat::go_sendxmpp(&server, "alice", false).await;
    let said = run(alice.args(["--http-upload", file, &format!("bob@{DOMAIN}")]), "").await;
    assert!(said.status.success(), "{}", said.text);
    assert_eq!(next(&mut bob).await, "done");
    server.assert_running();
}
