//! Dino and Gajim, real programs on a screen, chat with somebody and meet them in a room.

use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{ChildStdin, ChildStdout},
    time::{Instant, timeout},
};

use crate::{
    chat::PASSWORD,
    dns::Dns,
    harness::{DOMAIN, PATIENCE, Server, Wish},
    screen::Screen,
};

/// How long a program may take to show what was asked for, before it is asked again.
const GLANCE: Duration = Duration::from_secs(3);

/// What bob prints when alice enters the room.
const ARRIVAL: &str = "alice is in the room";

/// Who sits at the screen is alice; bob is a script, and keeps the room "den".
struct Scene {
    server: Server,
    _dns: Dns,
    bob: Friend,
}

impl Scene {
    async fn begin() -> Self {
        let mut server = Wish::default().standard_ports().prepare().await;
        for name in ["alice", "bob"] {
            server.user(name, PASSWORD).await;
        }
        server.start().await;
        server.be_trusted().await;
        let dns = Dns::of_the_company(&server).await;
        let bob = Friend::sign_in(&server, "bob").await;
        Self { server, _dns: dns, bob }
    }

    /// Words go to and fro, between two and in a room. `join` asks for the room and agrees to what is asked back, until
    /// bob sees alice there.
    async fn play(mut self, mut seat: Seat, join: impl AsyncFn(&mut Screen, &mut Friend)) {
        self.bob.says("chat alice hello from bob").await;
        seat.reads("hello from bob").await;
        seat.answers(Some("xmpp:bob@corp.example?message"), "hello from the desk", &mut self.bob, "chat")
            .await;
        self.bob.says("chat alice fine, come to the den").await;
        seat.reads("fine, come to the den").await;

        self.bob.says("room this was said before").await;
        self.bob.hears("room bob: this was said before").await;
        join(&mut seat.screen, &mut self.bob).await;
        seat.reads("this was said before").await;
        self.bob.says("room welcome to the den").await;
        seat.reads("welcome to the den").await;
        seat.answers(seat.room, "a word in the den", &mut self.bob, "room").await;
        drop(seat);
        self.server.stop().await;
        self.server.verify().await;
    }
}

/// Somebody who says what a test tells, and tells what is heard.
struct Friend {
    orders: ChildStdin,
    heard: Lines<BufReader<ChildStdout>>,
}

impl Friend {
    async fn sign_in(server: &Server, name: &str) -> Self {
        let mut command = server.python_command("friend.py").await;
        let mut child = command
            .args(["main", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let heard = BufReader::new(child.stdout.take().unwrap()).lines();
        tokio::spawn(async move { child.wait().await });
        let mut friend = Self { orders, heard };
        friend.hears(&format!("{name} is in the room")).await;
        friend
    }

    async fn says(&mut self, order: &str) {
        self.orders.write_all(format!("{order}\n").as_bytes()).await.unwrap();
    }

    /// Waits until this is heard, past all else.
    async fn hears(&mut self, what: &str) {
        assert!(self.hears_within(PATIENCE, what).await, "nobody heard {what:?}");
    }

    async fn hears_within(&mut self, time: Duration, what: &str) -> bool {
        let hear = async {
            while let Some(line) = self.heard.next_line().await.unwrap() {
                if line == what {
                    return;
                }
            }
            panic!("the one who should hear {what:?} has left");
        };
        timeout(time, hear).await.is_ok()
    }
}

/// A place before a screen, and the database in which the program keeps what it has read.
struct Seat {
    screen: Screen,
    title: &'static str,
    database: PathBuf,
    /// How many received messages have the text `?1`.
    query: &'static str,
    /// Turns to the room once it has been entered, if anything has to.
    room: Option<&'static str>,
}

impl Seat {
    /// Waits until the program has received this and kept it. A database sends no events, so it is looked at often.
    async fn reads(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.has(text).unwrap_or(false) {
            assert!(Instant::now() < deadline, "{} did not receive {text:?}", self.title);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether this is in the database; it may not be there yet.
    fn has(&self, text: &str) -> rusqlite::Result<bool> {
        let database = Connection::open_with_flags(&self.database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        database.query_row(self.query, [text], |row| row.get(0))
    }

    /// Types into the conversation behind a link, or that which is open, until bob hears it: nothing tells when a window
    /// has turned to it.
    async fn answers(&mut self, link: Option<&str>, text: &str, bob: &mut Friend, kind: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(link) = link {
                self.screen.open(link).await;
            }
            self.screen.window(self.title).await;
            self.screen.type_line(text).await;
            if bob.hears_within(GLANCE, &format!("{kind} alice: {text}")).await {
                return;
            }
            assert!(Instant::now() < deadline, "bob did not hear {text:?}");
        }
    }
}

#[tokio::test]
async fn dino_chats_and_meets_in_a_room() {
    let scene = Scene::begin().await;
    let home = scene.server.folder().join("dino");
    let database = home.join("share/dino/dino.db");
    fs::create_dir_all(database.parent().unwrap()).unwrap();
    // The account as its own assistant would write it; the rest it adds by itself.
    let account = format!(
        "CREATE TABLE account (id INTEGER PRIMARY KEY AUTOINCREMENT, bare_jid TEXT NOT NULL UNIQUE, resourcepart TEXT,
            password TEXT, alias TEXT, enabled INTEGER, roster_version TEXT, mam_earliest_synced INTEGER);
         INSERT INTO account (bare_jid, resourcepart, password, enabled, roster_version, mam_earliest_synced)
            VALUES ('alice@{DOMAIN}', 'dino', '{PASSWORD}', 1, '', 0);"
    );
    Connection::open(&database).unwrap().execute_batch(&account).unwrap();
    let seat = Seat {
        screen: Screen::run(&scene.server, &home, "dino-im").await,
        title: "Dino",
        database,
        query: "SELECT COUNT(*) FROM message WHERE direction = 0 AND body = ?1",
        room: None,
    };
    scene
        .play(seat, async |screen, bob| {
            screen.open("xmpp:den@conference.corp.example?join").await;
            let dialog = screen.window("Join Channel").await;
            // Its button "Join", which no key presses.
            screen.click(&dialog, 352, 28).await;
            bob.hears(ARRIVAL).await;
        })
        .await;
}

#[tokio::test]
async fn gajim_chats_and_meets_in_a_room() {
    let scene = Scene::begin().await;
    let home = scene.server.folder().join("gajim");
    fs::create_dir_all(home.join("config/gajim")).unwrap();
    let settings = Connection::open(home.join("config/gajim/settings.sqlite")).unwrap();
    let tables = "CREATE TABLE settings (name TEXT UNIQUE, settings TEXT);
        CREATE TABLE account_settings (account TEXT UNIQUE, settings TEXT);
        PRAGMA user_version = 5;";
    settings.execute_batch(tables).unwrap();
    let app = json!({ "use_keyring": false, "check_for_update": false, "show_help_start_chat": false });
    let workspaces = json!({ "4a2f6a5c-1f0e-4f8e-9f54-0b2f6a1c7d10": {} });
    let nothing = json!({});
    let parts = [("app", &app), ("workspaces", &workspaces)];
    let empty = ["soundevents", "status_presets", "proxies", "plugins"].map(|name| (name, &nothing));
    for (name, value) in parts.into_iter().chain(empty) {
        settings.execute("INSERT INTO settings VALUES (?1, ?2)", [name, &value.to_string()]).unwrap();
    }
    let account = json!({
        "account": { "active": true, "name": "alice", "hostname": DOMAIN, "password": PASSWORD },
        "contact": {},
        "group_chat": {},
    });
    settings.execute("INSERT INTO account_settings VALUES ('company', ?1)", [account.to_string()]).unwrap();
    drop(settings);
    let seat = Seat {
        screen: Screen::run(&scene.server, &home, "gajim").await,
        title: "Gajim",
        database: home.join("share/gajim/logs.db"),
        // Kinds: said in a room, and received in a chat.
        query: "SELECT COUNT(*) FROM logs WHERE kind IN (2, 4) AND message = ?1",
        room: Some("xmpp:den@conference.corp.example?message"),
    };
    scene
        .play(seat, async |screen, bob| {
            screen.open("xmpp:den@conference.corp.example?join").await;
            screen.window("Start / Join Chat").await;
            // Return chooses what the link names, and once the room has been asked what it is, agrees to enter.
            let mut presses = 0;
            while !bob.hears_within(GLANCE / 3, ARRIVAL).await {
                assert!(presses < 20, "alice did not enter the room");
                screen.press("Return").await;
                presses += 1;
            }
        })
        .await;
}
