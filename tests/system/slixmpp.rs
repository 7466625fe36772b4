//! slixmpp's own integration tests, unchanged from its source package.

use crate::harness::{Wish, peers, run};

/// Why a module does not run yet.
#[derive(Clone, Copy, PartialEq)]
enum Plan {
    Runs,
    /// It needs something that is not part of the server yet.
    Waits(&'static str),
}
use Plan::{Runs, Waits};

/// Every module of slixmpp's `itests` and whether it runs.
const MODULES: &[(&str, Plan)] = &[
    ("test_basic_connect_and_message", Runs),
    ("test_blocking", Runs),
    ("test_bob", Runs),
    ("test_chatmarkers", Runs),
    ("test_component", Runs),
    ("test_disco", Runs),
    ("test_httpupload", Runs),
    ("test_ibb", Runs),
    ("test_last_activity", Runs),
    ("test_mam", Runs),
    ("test_moderate", Runs),
    ("test_muc", Runs),
    ("test_pep", Runs),
    ("test_ping", Runs),
    ("test_privatestorage", Runs),
    ("test_quickresponse", Runs),
    ("test_reactions", Runs),
    ("test_reconnect", Runs),
    ("test_retract", Runs),
    ("test_selfping", Runs),
    ("test_slow_filters", Runs),
    ("test_sos", Runs),
    ("test_tls_check", Runs),
    ("test_user_avatar", Runs),
    ("test_vcard", Runs),
    ("test_vcard_avatar", Runs),
    ("test_version", Runs),
];

#[tokio::test]
async fn slixmpp_passes_its_own_integration_tests() {
    // The module about components names its server and runs only where it believes that this is there.
    let mut server = Wish::default()
        .standard_ports()
        .mounted("echo 127.0.0.1 prosody >> /etc/hosts\n")
        .environment("CHANCERY_DOMAINS", "prosody")
        .toml("[[components]]\ndomain = \"slixmpp.prosody\"\nsecret = \"secret\"\n")
        .environment("CHANCERY_CONTACT_OUTAGE", "http://127.0.0.1:5280/nothing-is-wrong")
        .prepare()
        .await;
    server.user("slix-one", "first password").await;
    server.user("slix-two", "second password").await;
    server.start().await;

    let folder = peers().join("slixmpp-1.17.0");
    let modules =
        MODULES.iter().filter(|(_, plan)| *plan == Runs).map(|(name, _)| format!("itests/{name}.py"));
    let mut command = server.command_in(peers().join("venv/bin/python"), &folder);
    server.describe(&mut command).await;
    command
        .arg("run_integration_tests.py")
        .args(modules)
        .env("CI", "woodpecker")
        .env("CI_MUC_SERVER", "conference.corp.example")
        .env("CI_ACCOUNT1", "slix-one@corp.example")
        .env("CI_ACCOUNT1_PASSWORD", "first password")
        .env("CI_ACCOUNT2", "slix-two@corp.example")
        .env("CI_ACCOUNT2_PASSWORD", "second password");
    let said = run(&mut command, "").await;
    assert!(said.status.success(), "{}", said.text);
    assert!(!said.text.contains("skipped"), "{}", said.text);
    server.assert_running();
}

#[test]
fn every_module_of_slixmpp_is_in_the_table() {
    let folder = peers().join("slixmpp-1.17.0/itests");
    let mut found: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| {
            entry.unwrap().file_name().into_string().unwrap().strip_suffix(".py").map(str::to_owned)
        })
        .filter(|name| name.starts_with("test_"))
        .collect();
    found.sort();
    let listed: Vec<&str> = MODULES.iter().map(|(name, _)| *name).collect();
    assert_eq!(found, listed);
    for (name, plan) in MODULES {
        if let Waits(what) = plan {
            println!("{name} waits for {what}");
        }
    }
}
