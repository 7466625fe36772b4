//! slixmpp's own integration tests, unchanged from its source package.

use crate::harness::{Wish, peers, run};

/// Every module of slixmpp's `itests`.
const MODULES: &[&str] = &[
    "test_basic_connect_and_message",
    "test_blocking",
    "test_bob",
    "test_chatmarkers",
    "test_component",
    "test_disco",
    "test_httpupload",
    "test_ibb",
    "test_last_activity",
    "test_mam",
    "test_moderate",
    "test_muc",
    "test_pep",
    "test_ping",
    "test_privatestorage",
    "test_quickresponse",
    "test_reactions",
    "test_reconnect",
    "test_retract",
    "test_selfping",
    "test_slow_filters",
    "test_sos",
    "test_tls_check",
    "test_user_avatar",
    "test_vcard",
    "test_vcard_avatar",
    "test_version",
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
    let modules = MODULES.iter().map(|name| format!("itests/{name}.py"));
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
    assert_eq!(found, MODULES);
}
