//! Prosody as Debian ships it, in a folder of its own.

use tokio::process::Command;

use super::{Archive, DOMAIN, Site};
use crate::fault::{Context, Result};

pub(super) fn configure(site: &Site, archive: Archive) -> Result<()> {
    let folder = site.folder.path().display();
    let rooms = match archive {
        Archive::Off => "",
        Archive::Default | Archive::Sqlite => {
            "modules_enabled = { \"muc_mam\" }\nmuc_log_by_default = true\n"
        }
    };
    let (modules, storage) = match archive {
        Archive::Off => ("", "storage = \"internal\"".to_owned()),
        Archive::Default => ("\"mam\",", "storage = \"internal\"".to_owned()),
        // "safe" is the setting that waits for the disk.
        Archive::Sqlite => (
            "\"mam\",",
            format!(
                "storage = {{ archive = \"sql\" }}\nsqlite_tune = \"safe\"\n\
                 sql = {{ driver = \"SQLite3\", database = \"{folder}/prosody.sqlite\" }}"
            ),
        ),
    };
    site.write(
        "prosody.cfg.lua",
        &format!(
            "run_as_root = true\n\
             pidfile = \"{folder}/prosody.pid\"\n\
             data_path = \"{folder}/data\"\n\
             log = {{ warn = \"{folder}/prosody.log\" }}\n\
             interfaces = {{ \"127.0.0.1\" }}\n\
             use_ipv6 = false\n\
             c2s_ports = {{ {plain} }}\n\
             c2s_direct_tls_ports = {{ {tls} }}\n\
             modules_enabled = {{ {modules} \"roster\", \"saslauth\", \"tls\", \"disco\", \"ping\", \"carbons\", \"smacks\",\n\
             \x20 \"blocklist\", \"private\", \"vcard4\", \"pep\", \"register_ibr\" }}\n\
             modules_disabled = {{ \"s2s\" }}\n\
             c2s_require_encryption = false\n\
             allow_registration = true\n\
             authentication = \"internal_hashed\"\n\
             password_hash = \"SHA-256\"\n\
             {storage}\n\
             default_archive_policy = true\n\
             archive_expires_after = \"never\"\n\
             max_archive_query_results = 250\n\
             ssl = {{ certificate = \"{folder}/tls.crt\", key = \"{folder}/tls.key\" }}\n\
             c2s_direct_tls_ssl = ssl\n\
             VirtualHost \"{DOMAIN}\"\n\
             Component \"conference.{DOMAIN}\" \"muc\"\n\
             {rooms}",
            plain = site.ports.plain,
            tls = site.ports.tls,
        ),
    )?;
    std::fs::create_dir(site.path("data")).during("making Prosody's data folder")
}

pub(super) fn command(site: &Site) -> Command {
    let mut command = Command::new("prosody");
    command.arg("-F").arg("--config").arg(site.path("prosody.cfg.lua"));
    command
}
