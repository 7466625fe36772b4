//! `chancery user`, with and without a running server.

use crate::house::House;

/// The same conversation with whoever answers.
fn the_life_of_an_account(house: &House) {
    let add = [
        "user",
        "add",
        "Anna",
        "--password-stdin",
        "--display-name",
        "Anna Berg",
        "--group",
        "Sales",
        "--json",
    ];
    let anna = house.run_with(&add, "correct horse\n").json();
    assert_eq!(anna["address"], "anna@localhost");
    assert_eq!((anna["role"].as_str(), anna["enabled"].as_bool()), (Some("user"), Some(true)));
    assert_eq!(anna["groups"][0], "Sales");

    let again = house.run_with(&["user", "add", "anna", "--password-stdin"], "x\n").refused();
    assert!(again.contains("anna@localhost exists already"), "{again}");

    house.run_with(&["user", "passwd", "anna", "--password-stdin"], "battery staple\n").ok();
    assert_eq!(house.run(&["user", "role", "anna", "admin", "--json"]).json()["role"], "admin");
    assert_eq!(house.run(&["user", "disable", "anna", "--json"]).json()["enabled"], false);
    assert_eq!(house.run(&["user", "enable", "anna@localhost", "--json"]).json()["enabled"], true);

    let list = house.run(&["user", "list"]).ok();
    let row: Vec<&str> = list.lines().find(|line| line.starts_with("anna@")).unwrap().split('\t').collect();
    assert_eq!(&row[..5], ["anna@localhost", "Anna Berg", "admin", "enabled", "Sales"]);

    let removed = house.run(&["user", "remove", "anna", "--json"]).json();
    assert_eq!(removed["removed"], "anna@localhost");
    let gone = house.run(&["user", "role", "anna", "user"]).refused();
    assert!(gone.contains("there is no account anna@localhost"), "{gone}");
}

#[test]
fn an_account_lives_while_the_server_runs() {
    let house = House::new();
    let _server = house.serve();
    the_life_of_an_account(&house);
}

#[test]
fn an_account_lives_while_no_server_runs() {
    let house = House::new();
    house.run_with(&["user", "add", "boss", "--password-stdin", "--role", "admin"], "correct horse\n").ok();
    the_life_of_an_account(&house);
}

#[test]
fn the_first_account_makes_the_folder_and_shows_the_recovery_phrase() {
    let house = House::new();
    let said = house.run_with(&["user", "add", "anna", "--password-stdin"], "correct horse\n");
    let phrase = std::fs::read_to_string(house.path("data.key")).unwrap();
    assert!(said.err.contains(phrase.trim()), "{}", said.err);
    assert_eq!(said.ok(), "anna@localhost: made\n");
}

#[test]
fn the_last_administrator_stays() {
    let house = House::new();
    let server = house.serve();
    for arguments in
        [&["user", "remove", "admin"][..], &["user", "disable", "admin"], &["user", "role", "admin", "user"]]
    {
        let refused = house.run(arguments).refused();
        assert!(refused.contains("last administrator"), "{refused}");
    }
    house.run_with(&["user", "add", "boss", "--password-stdin", "--role", "admin"], "correct horse\n").ok();
    house.run(&["user", "remove", "admin"]).ok();
    let (ended, _) = server.end("TERM");
    assert!(ended.success());
    // There is an administrator, so the next start makes none.
    assert!(!house.serve().banner.contains("password"));
}

#[test]
fn without_a_folder_there_is_nobody_to_list() {
    let house = House::new();
    let refused = house.run(&["user", "list"]).refused();
    assert!(refused.contains("there is no data in"), "{refused}");
    assert!(!house.data().exists());
}

#[test]
fn a_command_that_makes_no_sense_ends_with_two() {
    let house = House::new();
    for arguments in [
        &["dance"][..],
        &["user"],
        &["user", "add"],
        &["user", "add", "anna", "--password", "secret"],
        &["user", "role", "anna", "king"],
        &["--nonsense"],
    ] {
        assert_eq!(house.run(arguments).code, Some(2), "{arguments:?}");
    }
    let nobody = house.run(&["user", "add", "anna"]);
    assert_eq!(nobody.code, Some(2));
    assert!(nobody.err.contains("--password-stdin"), "{}", nobody.err);
    assert_eq!(
        house.run(&["user", "add", "anna", "--password-stdin"]).code,
        Some(2),
        "standard input is empty"
    );
    assert_eq!(house.run(&["--help"]).code, Some(0));
    assert_eq!(house.run(&["--version"]).code, Some(0));
}

#[test]
fn a_refusal_is_json_when_asked() {
    let house = House::new();
    house.user("anna");
    let refused = house.run(&["user", "remove", "ben", "--json"]).refused();
    let refused: serde_json::Value = serde_json::from_str(&refused).unwrap();
    assert_eq!(refused["error"]["kind"], "missing");
    assert!(refused["error"]["message"].as_str().unwrap().contains("ben@localhost"));
}

#[test]
fn names_and_domains_that_cannot_be_are_refused() {
    let house = House::new();
    house.user("anna");
    let other =
        house.run_with(&["user", "add", "ben@elsewhere.example", "--password-stdin"], "x\n").refused();
    assert!(other.contains("elsewhere.example is not a domain of this server"), "{other}");
    for name in ["", "a b", "a/b", "a@b@c"] {
        house.run_with(&["user", "add", name, "--password-stdin"], "correct horse\n").refused();
    }
}
