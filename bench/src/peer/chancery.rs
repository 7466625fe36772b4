//! Chancery itself, as a company would run it, with sign-in limits off and SCRAM allowed without TLS.

use tokio::process::Command;

use super::{DOMAIN, Site};
use crate::account::{self, Account};
use crate::fault::{Context, Result};

pub(super) fn configure(site: &Site, teams: bool) -> Result<()> {
    let ports = &site.ports;
    let shared = if teams { "[directory]\nshared_groups = [\"*\"]\n" } else { "" };
    site.write(
        "chancery.toml",
        &format!(
            "domain = \"{DOMAIN}\"\n\
             [listen]\n\
             xmpp = [\"127.0.0.1:{}\"]\n\
             xmpp_tls = [\"127.0.0.1:{}\"]\n\
             s2s = [\"127.0.0.1:{}\"]\n\
             http = [\"127.0.0.1:{}\"]\n\
             component = [\"127.0.0.1:{}\"]\n\
             [limits]\n\
             preauth_seconds = 600\n\
             logins_per_minute = 0\n\
             [development]\n\
             insecure_login = true\n\
             {shared}",
            ports.plain, ports.tls, ports.s2s, ports.http, ports.component
        ),
    )
}

/// `chancery` with the site's configuration and data folder.
fn base(site: &Site) -> Command {
    let mut command = Command::new(&site.chancery);
    command.arg("--config").arg(site.path("chancery.toml")).arg("--data").arg(site.path("data"));
    command
}

pub(super) fn command(site: &Site) -> Command {
    let mut command = base(site);
    command.arg("serve");
    command
}

/// Adds the accounts while the server is down.
pub(super) async fn import(site: &Site, accounts: usize) -> Result<()> {
    let new: Vec<Account> = (site.accounts..accounts).map(Account::numbered).collect();
    site.write("users.csv", &account::csv(&new))?;
    let output = base(site)
        .args(["user", "import"])
        .arg(site.path("users.csv"))
        .output()
        .await
        .during(format!("running {}", site.chancery.display()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(site.trouble(format!("user import: {}", String::from_utf8_lossy(&output.stderr))))
}
