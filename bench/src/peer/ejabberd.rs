//! ejabberd as Debian ships it, in a folder of its own and without Erlang distribution, so that it neither needs a
//! node name nor leaves a port mapper behind.

use std::process::Stdio;

use tokio::process::Command;

use super::{Archive, DOMAIN, Site};
use crate::fault::{Context, Result};

const SCHEMA: &str = "/usr/share/ejabberd/sql/lite.sql";

pub(super) fn configure(site: &Site, archive: Archive) -> Result<()> {
    let folder = site.folder.path().display();
    let mam = match archive {
        Archive::Off => String::new(),
        Archive::Default => {
            "  mod_mam: { default: always, assume_mam_usage: true, db_type: mnesia }\n".to_owned()
        }
        Archive::Sqlite => {
            "  mod_mam: { default: always, assume_mam_usage: true, db_type: sql }\n".to_owned()
        }
    };
    let archived = archive != Archive::Off;
    let sql = match archive {
        Archive::Sqlite => format!("sql_type: sqlite\nsql_database: \"{folder}/ejabberd.sqlite\"\n"),
        _ => String::new(),
    };
    if archive == Archive::Sqlite {
        create_database(site)?;
    }
    site.write(
        "ejabberd.yml",
        &format!(
            "hosts: [{DOMAIN}]\n\
             loglevel: warning\n\
             certfiles: [\"{folder}/tls.pem\"]\n\
             auth_method: mnesia\n\
             auth_password_format: scram\n\
             auth_scram_hash: sha256\n\
             registration_timeout: infinity\n\
             {sql}\
             listen:\n\
             \x20 - {{ port: {plain}, ip: \"127.0.0.1\", module: ejabberd_c2s, max_stanza_size: 262144, backlog: 1024 }}\n\
             \x20 - {{ port: {tls}, ip: \"127.0.0.1\", module: ejabberd_c2s, max_stanza_size: 262144, backlog: 1024, tls: true }}\n\
             modules:\n\
             {mam}\
             \x20 mod_privacy: {{}}\n\
             \x20 mod_blocking: {{}}\n\
             \x20 mod_caps: {{}}\n\
             \x20 mod_carboncopy: {{}}\n\
             \x20 mod_disco: {{}}\n\
             \x20 mod_muc: {{ host: \"conference.{DOMAIN}\", max_users: 2000, default_room_options: {{ max_users: 2000, mam: {archived} }} }}\n\
             \x20 mod_offline: {{}}\n\
             \x20 mod_ping: {{}}\n\
             \x20 mod_private: {{}}\n\
             \x20 mod_pubsub: {{ plugins: [flat, pep] }}\n\
             \x20 mod_register: {{ ip_access: all, access: all }}\n\
             \x20 mod_roster: {{ versioning: true }}\n\
             \x20 mod_stream_mgmt: {{}}\n\
             \x20 mod_vcard: {{}}\n",
            plain = site.ports.plain,
            tls = site.ports.tls,
        ),
    )?;
    for name in ["mnesia", "logs", "home"] {
        std::fs::create_dir(site.path(name)).during("making ejabberd's folders")?;
    }
    Ok(())
}

fn create_database(site: &Site) -> Result<()> {
    let schema = std::fs::File::open(SCHEMA).during(format!("opening {SCHEMA}"))?;
    let output = std::process::Command::new("sqlite3")
        .arg(site.path("ejabberd.sqlite"))
        .stdin(Stdio::from(schema))
        .output()
        .during("running sqlite3")?;
    if output.status.success() {
        return Ok(());
    }
    Err(site.trouble(format!("sqlite3: {}", String::from_utf8_lossy(&output.stderr))))
}

pub(super) fn command(site: &Site) -> Command {
    let mut command = Command::new("erl");
    command
        .current_dir(site.folder.path())
        .env("HOME", site.path("home"))
        .env("ERL_LIBS", "/usr/lib/x86_64-linux-gnu")
        .env("ERL_CRASH_DUMP", site.path("logs/crash.dump"))
        .env("EJABBERD_CONFIG_PATH", site.path("ejabberd.yml"))
        .env("EJABBERD_LOG_PATH", site.path("logs/ejabberd.log"))
        // The limits that ejabberdctl sets, with room for the scenario of ten thousand connections.
        .env("ERL_MAX_PORTS", "32000")
        .env("ERL_MAX_ETS_TABLES", "1400")
        .args(["+K", "true", "+P", "250000", "-noinput", "-mnesia", "dir"])
        .arg(format!("\"{}\"", site.path("mnesia").display()))
        .args(["-s", "ejabberd"]);
    command
}
