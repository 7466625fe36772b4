//! aioxmpp's own end-to-end tests, unchanged from its repository.

use std::{collections::BTreeMap, fmt::Write as _, fs};

use crate::harness::{DOMAIN, Wish, peers, run, scripts};

/// Every file of them, with the number of its tests that pass.
const MODULES: &[(&str, usize)] = &[
    ("tests/adhoc/test_e2e.py", 6),
    ("tests/avatar/test_e2e.py", 2),
    ("tests/blocking/test_e2e.py", 1),
    ("tests/bookmarks/test_e2e.py", 6),
    ("tests/entitycaps/test_e2e.py", 3),
    ("tests/httpupload/test_e2e.py", 1),
    ("tests/ibb/test_e2e.py", 3),
    ("tests/mdr/test_e2e.py", 1),
    ("tests/muc/test_e2e.py", 17),
    ("tests/pep/test_e2e.py", 5),
    ("tests/ping/test_e2e.py", 5),
    ("tests/presence/test_e2e.py", 2),
    ("tests/private_xml/test_e2e.py", 2),
    ("tests/pubsub/test_e2e.py", 2),
    ("tests/test_e2e.py", 5),
    ("tests/version/test_e2e.py", 3),
];

/// What is left out. The words are aioxmpp's.
const SKIPPED: &[(&str, &str)] = &[
    // No standard asks for the ad-hoc command "ping" that they want.
    ("tests/adhoc/test_e2e.py::TestAdHocClient::test_ping", "provisioner has quirk"),
    ("tests/adhoc/test_e2e.py::TestAdHocClient::test_ping_with_async_cm", "provisioner has quirk"),
    // They put words into the server's mouth, which stream management would count; it is always offered.
    ("tests/test_e2e.py::TestMisc::test_handle_id_less_IQ_request_gracefully", "this test breaks with SM"),
    ("tests/test_e2e.py::TestMisc::test_handle_malformed_iq_error_gracefully", "this test breaks with SM"),
];

/// More than all tests together use.
const ACCOUNTS: usize = 200;

#[tokio::test]
async fn aioxmpp_passes_its_own_end_to_end_tests() {
    let mut server = Wish::default().prepare().await;
    let (mut people, mut accounts) = ("username,password\n".to_owned(), String::new());
    for number in 0..ACCOUNTS {
        writeln!(people, "aio-{number},first password").unwrap();
        write!(accounts, "(\"aio-{number}\", \"first password\"), ").unwrap();
    }
    let said = run(&mut server.chancery(&["user", "import", "-"]), &people).await;
    assert!(said.status.success(), "{}", said.text);
    server.start().await;

    let settings = server.folder().join("e2etest.ini");
    let provisioner = "provision.UnusedAccounts";
    let port = server.ports().xmpp;
    let text = format!(
        "[global]\nprovisioner={provisioner}\ntimeout=30\n[{provisioner}]\nhost=127.0.0.1\nport={port}\n\
         domain={DOMAIN}\naccounts=[{accounts}]\nquirks=[\"#no-adhoc-ping\"]\n"
    );
    fs::write(&settings, text).unwrap();
    let mut command = server.command_in(peers().join("venv/bin/python"), &folder());
    server.describe(&mut command).await;
    command
        .env("PYTHONPATH", scripts())
        // Else it shortens its lines.
        .env("COLUMNS", "200")
        .args(["-m", "pytest", "-p", "aioxmpp.e2etest", "-p", "no:cacheprovider", "-W", "ignore", "-v"])
        .arg(format!("--e2etest-config={}", settings.display()))
        .args(MODULES.iter().map(|(name, _)| name));
    let said = run(&mut command, "").await;
    assert!(said.status.success(), "{}", said.text);

    // A line each, such as `tests/ping/test_e2e.py::TestPing::test_ping_raises PASSED [ 50%]`.
    let results =
        said.stdout.lines().filter_map(|line| line.split_once(' ')).filter(|(test, _)| test.contains("::"));
    let mut passed = BTreeMap::new();
    let mut skipped = Vec::new();
    for (test, result) in results {
        if result.starts_with("PASSED") {
            *passed.entry(test.split("::").next().unwrap()).or_insert(0) += 1;
        } else {
            skipped.push((test, result));
        }
    }
    assert_eq!(passed.into_iter().collect::<Vec<_>>(), MODULES, "{}", said.text);
    assert_eq!(skipped.len(), SKIPPED.len(), "{}", said.text);
    for ((test, result), (known, why)) in skipped.iter().zip(SKIPPED) {
        assert!(test == known && result.contains(why), "{test} {result}");
    }
    server.assert_running();
}

#[test]
fn every_module_of_aioxmpp_is_in_the_table() {
    let mut found: Vec<String> = fs::read_dir(folder().join("tests"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| if path.is_dir() { path.join("test_e2e.py") } else { path })
        .filter(|path| path.exists() && path.ends_with("test_e2e.py"))
        .map(|path| path.strip_prefix(folder()).unwrap().to_str().unwrap().to_owned())
        .collect();
    found.sort();
    assert_eq!(found, MODULES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
}

fn folder() -> std::path::PathBuf {
    peers().join("aioxmpp-0.13.3")
}
