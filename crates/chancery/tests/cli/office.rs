//! Roles, and who may see at the console what others did.

use crate::house::House;

/// The same conversation with whoever answers.
fn the_console_is_nobodys_auditor(house: &House) {
    house.user("olga");
    house.user("anna");
    house.run(&["user", "role", "anna", "admin"]).ok();
    let refused = house.run(&["archive", "audit"]).refused();
    assert!(refused.contains("--as NAME"), "{refused}");
    let officer = house.run(&["user", "role", "olga", "officer,auditor", "--json"]).json();
    assert_eq!(officer["role"], "auditor,officer");
    assert_eq!(officer["roles"], serde_json::json!(["auditor", "officer"]));

    let as_whom = |name| ["archive", "audit", "--as", name, "--password-stdin"];
    let wrong = house.run_with(&as_whom("olga"), "wrong\n").refused();
    assert!(wrong.contains("the name or the password is wrong"), "{wrong}");
    let admin = house.run_with(&as_whom("anna"), "correct horse\n").refused();
    assert!(admin.contains("one of the roles auditor, officer"), "{admin}");
    let rows = house.run_with(&as_whom("olga"), "correct horse\n").ok();
    let rows: Vec<Vec<&str>> = rows.lines().map(|row| row.split('\t').collect()).collect();
    assert_eq!(rows[0][2..4], ["olga@localhost", "audit"], "its own reading is on it");
    let role = rows.iter().find(|row| row[3] == "role" && row[5].contains("olga")).unwrap();
    assert!(role[2].starts_with("localhost/"), "{role:?}");
    let mut json = as_whom("olga").to_vec();
    json.extend(["--by", "olga", "--limit", "1", "--json"]);
    let entries = house.run_with(&json, "correct horse\n").json();
    assert_eq!((entries.as_array().unwrap().len(), &entries[0]["follows"]), (1, &true.into()));

    house.run(&["user", "totp-reset", "olga"]).ok();
    assert!(house.run(&["user", "totp-reset", "nobody"]).refused().contains("there is no account"));
}

#[test]
fn the_console_is_nobodys_auditor_while_the_server_runs() {
    let house = House::new();
    let _server = house.serve();
    the_console_is_nobodys_auditor(&house);
}

#[test]
fn the_console_is_nobodys_auditor_while_no_server_runs() {
    let house = House::new();
    house.run_with(&["user", "add", "boss", "--password-stdin", "--role", "admin"], "correct horse\n").ok();
    the_console_is_nobodys_auditor(&house);
    let verified = house.run(&["archive", "verify", "--json"]).json();
    assert_eq!((&verified["intact"], &verified["unsigned"]), (&true.into(), &0.into()));
}

#[test]
fn a_token_that_is_none_is_refused() {
    let house = House::new().environment("CHANCERY_TOKEN", "chancery_nothing");
    house.user("anna");
    assert!(house.run(&["archive", "audit"]).refused().contains("sign in first"));
}
