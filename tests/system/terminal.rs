//! A terminal that a program thinks a person sits at.

use std::{path::Path, time::Duration};

use tokio::{process::Command, time::Instant};

use crate::harness::PATIENCE;

/// A tmux of its own with one program in it. Both end when this is dropped.
pub(crate) struct Terminal {
    socket: std::path::PathBuf,
}

impl Terminal {
    /// Runs a program with a home folder of its own.
    pub(crate) async fn run(home: &Path, program: &str) -> Self {
        std::fs::create_dir_all(home).unwrap();
        let terminal = Self { socket: home.join("tmux") };
        let mut command = terminal.tmux();
        command
            .args(["new-session", "-d", "-x", "140", "-y", "50", program])
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_DATA_HOME", home.join("share"))
            .env("LC_ALL", "C.UTF-8")
            .env_remove("TMUX");
        assert!(command.status().await.expect("tmux is missing: run tests/install.sh").success());
        terminal
    }

    fn tmux(&self) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(&self.socket).args(["-f", "/dev/null"]);
        command
    }

    /// Types a line and presses return.
    pub(crate) async fn type_line(&self, line: &str) {
        self.type_text(line).await;
        self.press("Enter").await;
    }

    /// Types without pressing return.
    pub(crate) async fn type_text(&self, text: &str) {
        assert!(self.tmux().args(["send-keys", "-l", text]).status().await.unwrap().success());
    }

    /// Presses a key, by the name that tmux gives it.
    pub(crate) async fn press(&self, key: &str) {
        assert!(self.tmux().args(["send-keys", key]).status().await.unwrap().success());
    }

    /// What stands on the screen now.
    pub(crate) async fn screen(&self) -> String {
        let output = self.tmux().args(["capture-pane", "-p"]).output().await.unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until the screen shows `text` and returns the screen. A screen sends no events, so it is looked at often.
    pub(crate) async fn shows(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen().await;
            if screen.contains(text) {
                return screen;
            }
            assert!(Instant::now() < deadline, "the screen did not show {text:?}, but\n{screen}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The socket is this terminal's own, so no other tmux can be meant.
        let _ = std::process::Command::new("tmux").arg("-S").arg(&self.socket).arg("kill-server").output();
    }
}
