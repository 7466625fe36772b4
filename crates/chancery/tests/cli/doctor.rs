//! `chancery doctor` and `chancery status`.

use serde_json::Value;

use crate::house::{House, Said, set_mode};

fn state(said: &Said, check: &str) -> String {
    let findings: Value = serde_json::from_str(&said.out).unwrap();
    let finding = findings.as_array().unwrap().iter().find(|finding| finding["check"] == check);
    finding.map_or("absent".into(), |finding| finding["state"].as_str().unwrap().to_owned())
}

#[test]
fn a_healthy_server_is_found_healthy() {
    let house = House::new();
    let _server = house.serve();
    let said = house.run(&["doctor", "--json"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    for check in
        ["configuration", "server", "data folder", "master key", "storage", "administrator", "certificate"]
    {
        assert_eq!(state(&said, check), "ok", "{check}: {}", said.out);
    }
    assert_eq!(house.run(&["doctor", "--quick"]).code, Some(0));
}

#[test]
fn before_the_first_run_nothing_is_wrong_and_nothing_is_made() {
    let house = House::new();
    assert_eq!(house.run(&["doctor"]).code, Some(0));
    assert!(!house.data().exists());
    assert_eq!(house.run(&["doctor", "--quick"]).code, Some(1), "a health check of no server is no success");
}

#[test]
fn open_doors_are_found() {
    let house = House::new();
    house.user("anna");
    set_mode(&house.data(), 0o755);
    let said = house.run(&["doctor", "--json"]);
    assert_eq!((said.code, state(&said, "data folder").as_str()), (Some(0), "warning"));
    assert_eq!(state(&said, "administrator"), "warning");
    set_mode(&house.path("data.key"), 0o644);
    let said = house.run(&["doctor", "--json"]);
    assert_eq!((said.code, state(&said, "master key").as_str()), (Some(1), "fault"));
}

#[test]
fn a_taken_address_is_found() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let house = House::new().environment("CHANCERY_LISTEN_HTTP", &taken.local_addr().unwrap().to_string());
    let said = house.run(&["doctor", "--json"]);
    assert_eq!((said.code, state(&said, "addresses").as_str()), (Some(1), "fault"));
}

#[test]
fn a_broken_configuration_is_found() {
    let house = House::new();
    house.configure("[tls]\ncertificate = \"missing.pem\"\n");
    let said = house.run(&["doctor", "--json"]);
    assert_eq!((said.code, state(&said, "configuration").as_str()), (Some(1), "fault"));
}

#[test]
fn a_certificate_that_cannot_be_read_is_found() {
    let house = House::new();
    house.user("anna");
    house.configure("[tls]\ncertificate = \"missing.pem\"\nkey = \"missing.key\"\n");
    let said = house.run(&["doctor", "--json"]);
    assert_eq!((said.code, state(&said, "certificate").as_str()), (Some(1), "fault"));
}

#[test]
fn the_status_of_no_server_is_one() {
    let house = House::new();
    let said = house.run(&["status", "--json"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), "{\"running\":false}\n"));
    let server = house.serve();
    let status = server.status();
    assert_eq!(status["domains"][0], "localhost");
    assert!(status["pid"].as_u64().unwrap() > 0);
}
