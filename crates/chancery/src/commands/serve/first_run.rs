//! What only the first run does: make an administrator and say, once, how to sign in.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use server::config::Config;
use server::users::{NewAccount, Role, Users};

use super::line;
use crate::failure::Failure;
use crate::password;

/// The name of the account that the first run makes.
const ADMIN: &str = "admin";

/// What to say about a new master key.
pub(crate) fn about_phrase(config: &Config, phrase: &str) -> String {
    format!(
        "A new master key seals {}. Its recovery phrase, shown only now; keep it on paper:\n\n    {phrase}\n",
        config.data.display()
    )
}

/// Makes an administrator if there is none, and says how to sign in.
pub(super) async fn make_admin(config: &Config, users: &Users) -> Result<(), Failure> {
    let refused = |error: server::users::UserError| Failure::refused(error.to_string());
    for domain in &config.domains {
        let accounts = users.list(domain).await.map_err(refused)?;
        if accounts.iter().any(|account| account.roles.has(Role::Admin)) {
            return Ok(());
        }
    }
    let admin = Users::address(ADMIN, config.domain()).map_err(refused)?;
    if users.find(&admin).await.map_err(refused)?.is_some() {
        // Somebody has the name without the role: on purpose, or to be set right by `user role`.
        return Ok(());
    }
    let password = password::generate()?;
    let account = NewAccount { roles: Role::Admin.into(), ..NewAccount::new(&password) };
    users.create(&admin, account).await.map_err(refused)?;
    tell(
        config,
        &format!(
            "There was no administrator, so one was made. Sign in with any XMPP client as\n\n    \
             address   {admin}\n    password  {}\n\n\
             The password is shown only now; `chancery user passwd {ADMIN}` sets another.\n",
            *password
        ),
    )
}

/// Says something that must be seen once and kept nowhere. The journal keeps what it sees, so there it goes into a
/// file beside the data folder instead.
pub(super) fn tell(config: &Config, words: &str) -> Result<(), Failure> {
    if std::env::var_os("JOURNAL_STREAM").is_none() {
        line(words);
        return Ok(());
    }
    let file = notes(config);
    std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&file)
        .and_then(|mut file| writeln!(file, "{words}"))
        .map_err(Failure::from_io(&file.display().to_string()))?;
    line(&format!("Read {} and delete it: it says how to sign in.", file.display()));
    Ok(())
}

fn notes(config: &Config) -> PathBuf {
    let mut name = config.data.file_name().unwrap_or_default().to_os_string();
    name.push(".first-run");
    config.data.with_file_name(name)
}
