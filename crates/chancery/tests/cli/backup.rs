//! `chancery backup` and `chancery restore`.

use crate::house::{House, mode};

#[test]
fn what_was_backed_up_while_people_talk_comes_back_elsewhere() {
    let house = House::new();
    let _server = house.serve();
    house.user("anna");
    let answer = house.run(&["backup", "copy", "--json"]).json();
    assert_eq!(answer["to"], house.path("copy").to_str().unwrap());
    assert!(answer["bytes"].as_u64().unwrap() > 0);
    assert_eq!(mode(&house.path("copy")), 0o700);
    // After the backup: not part of it.
    house.user("ben");

    let other = House::new();
    let copy = house.path("copy");
    let copy = copy.to_str().unwrap();
    let said = other.run(&["restore", copy]).ok();
    assert!(said.contains("chancery keys restore"), "{said}");
    let phrase = std::fs::read_to_string(house.path("data.key")).unwrap();
    other.run_with(&["keys", "restore", "--phrase-stdin"], &phrase).ok();
    let people = other.run(&["user", "list"]).ok();
    assert!(people.contains("anna@localhost") && !people.contains("ben@localhost"), "{people}");
    assert_eq!(other.run(&["archive", "verify", "--json"]).json()["intact"], true);
}

#[test]
fn nothing_is_written_over() {
    let house = House::new();
    house.user("anna");
    house.run(&["backup", "copy"]).ok();
    house.run(&["backup", "copy"]).refused();
    let refused = house.run(&["restore", "copy"]).refused();
    assert!(refused.contains("is not empty"), "{refused}");
    assert!(house.run(&["user", "list"]).ok().contains("anna@localhost"));
}

#[test]
fn under_a_running_server_nothing_is_restored() {
    let house = House::new();
    let _server = house.serve();
    house.run(&["backup", "copy"]).ok();
    let refused = house.run(&["restore", "copy"]).refused();
    assert!(refused.contains("stop it first"), "{refused}");
}

#[test]
fn a_folder_that_is_no_backup_is_refused() {
    let house = House::new();
    std::fs::create_dir(house.path("empty")).unwrap();
    let refused = house.run(&["restore", "empty"]).refused();
    assert!(refused.contains("no backup"), "{refused}");
    assert!(!house.data().exists());
}
