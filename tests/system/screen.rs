//! A screen that a program thinks a person sits at, with a keyboard, a mouse and a session bus.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    time::timeout,
};

use crate::harness::{PATIENCE, Server, run};

/// Makes links open in the program that runs already. When there are no more it ends everything, a link that is still on
/// its way too: without the program it would become one.
const SESSION: &str =
    r#"$1 & all=$!; while read -r link; do $1 "$link" & all="$all $!"; done; kill -KILL $all 2>/dev/null"#;

/// A screen with one program on it, which runs in the server's namespace. Both end when this is dropped, and the last
/// sight of it stays in `target/tmp`.
pub(crate) struct Screen {
    display: String,
    home: PathBuf,
    links: ChildStdin,
    _server: Child,
}

impl Screen {
    /// Runs a program with a home folder of its own; what is in `home/config` and `home/share` it finds there.
    pub(crate) async fn run(server: &Server, home: &Path, program: &str) -> Self {
        let mut screen = Command::new("Xvfb")
            .args(["-displayfd", "1", "-nolisten", "tcp", "-screen", "0", "1280x800x24"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("Xvfb is missing: run tests/install.sh");
        let mut lines = BufReader::new(screen.stdout.take().unwrap()).lines();
        let number = timeout(PATIENCE, lines.next_line()).await.expect("there is no screen").unwrap();
        let display = format!(":{}", number.expect("Xvfb ended"));

        fs::create_dir_all(home.join("run")).unwrap();
        let log = fs::File::create(home.join("log")).unwrap();
        let mut session = server
            .command("unshare")
            // Gajim refuses to run as root, so all are told that they are somebody else.
            .args(["--user", "--map-user=1000", "--map-group=1000"])
            .args(["dbus-run-session", "--", "sh", "-c", SESSION, "session", program])
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_DATA_HOME", home.join("share"))
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("XDG_RUNTIME_DIR", home.join("run"))
            .env("DISPLAY", &display)
            .env_remove("WAYLAND_DISPLAY")
            .env("GDK_BACKEND", "x11")
            .env("GSK_RENDERER", "cairo")
            .env("GSETTINGS_BACKEND", "memory")
            .envs([("NO_AT_BRIDGE", "1"), ("GTK_A11Y", "none"), ("LC_ALL", "C.UTF-8")])
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            // It ends by itself, and takes its bus with it, when there are no more links.
            .kill_on_drop(false)
            .spawn()
            .unwrap();
        let links = session.stdin.take().unwrap();
        tokio::spawn(async move { session.wait().await });
        Self { display, home: home.to_owned(), links, _server: screen }
    }

    /// Opens a link, such as `xmpp:bob@corp.example?message`, as if it had been clicked somewhere else.
    pub(crate) async fn open(&mut self, link: &str) {
        self.links.write_all(format!("{link}\n").as_bytes()).await.unwrap();
    }

    /// Waits for the window with this title and turns the keyboard to it.
    pub(crate) async fn window(&self, title: &str) -> String {
        let title = format!("^{title}$");
        let found = self.xdotool(&["search", "--sync", "--onlyvisible", "--name", &title]).await;
        let window = found.lines().last().unwrap().to_owned();
        self.xdotool(&["windowfocus", "--sync", &window]).await;
        window
    }

    /// Presses a key, by the name that X gives it.
    pub(crate) async fn press(&self, key: &str) {
        self.xdotool(&["key", key]).await;
    }

    /// Types a line over what stands there, and presses return.
    pub(crate) async fn type_line(&self, line: &str) {
        self.press("ctrl+a").await;
        self.xdotool(&["type", "--delay", "5", line]).await;
        self.press("Return").await;
    }

    /// Clicks at a place of a window, in pixels from its top left.
    pub(crate) async fn click(&self, window: &str, x: u32, y: u32) {
        let (x, y) = (x.to_string(), y.to_string());
        self.xdotool(&["mousemove", "--window", window, &x, &y, "click", "1"]).await;
    }

    async fn xdotool(&self, arguments: &[&str]) -> String {
        let said = run(Command::new("xdotool").args(arguments).env("DISPLAY", &self.display), "").await;
        assert!(said.status.success(), "xdotool {arguments:?}: {}", said.text);
        said.stdout
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let name = self.home.file_name().unwrap();
        let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name).with_extension("png");
        let mut import = std::process::Command::new("import");
        let _ = import.args(["-display", &self.display, "-window", "root"]).arg(&picture).status();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.home.join("log")).unwrap_or_default();
            let tail = log.char_indices().rev().nth(5_000).map_or(0, |(at, _)| at);
            eprintln!("---- the program's log ----\n{}\n---- end of the program's log ----", &log[tail..]);
            eprintln!("The screen is in {}", picture.display());
        }
    }
}
