//! `chancery user import`.

use crate::house::House;

const COMPANY: &str = "username,password,name,groups,email,phone,title\n\
    anna,pw-anna-1,Anna Berg,Sales;Board,anna@corp.example,123,Head of Sales\n\
    ben,,Ben Ohne,,,,\n\
    carla,pw-carla-1,\"Carla, the second\",,,,\n\
    a b,pw-x-1,Nobody,,,,\n\
    Anna,pw-anna-2,Anna again,,,,\n\
    dora,pw-dora-1\n";

fn check_the_company(house: &House) {
    std::fs::write(house.path("people.csv"), COMPANY).unwrap();
    let before = house.run(&["user", "list", "--json"]).json().as_array().unwrap().len();

    let dry = house.run(&["user", "import", "people.csv", "--dry-run", "--json"]);
    assert_eq!(dry.code, Some(1));
    let dry: serde_json::Value = serde_json::from_str(&dry.out).unwrap();
    assert_eq!((dry["made"].as_u64(), dry["dry_run"].as_bool()), (Some(2), Some(true)));
    assert_eq!(house.run(&["user", "list", "--json"]).json().as_array().unwrap().len(), before);

    let said = house.run(&["user", "import", "people.csv"]);
    assert_eq!(said.code, Some(1));
    assert_eq!(said.out, "2 accounts made, 4 lines refused\n");
    let lines: Vec<&str> = said.err.lines().collect();
    assert_eq!(lines.len(), 4, "{}", said.err);
    assert_eq!(lines[0], "line 3: ben has no password");
    assert!(lines[1].starts_with("line 5: a b"), "{}", lines[1]);
    assert!(lines[2].starts_with("line 6: anna@localhost exists already"), "{}", lines[2]);
    assert!(lines[3].starts_with("line 7: has 2 fields"), "{}", lines[3]);
    assert!(!said.err.contains("pw-"), "passwords do not belong in messages");

    let people = house.run(&["user", "list", "--json"]).json();
    let anna =
        people.as_array().unwrap().iter().find(|person| person["address"] == "anna@localhost").unwrap();
    assert_eq!(anna["name"], "Anna Berg");
    assert_eq!(anna["groups"], serde_json::json!(["Sales", "Board"]));
    assert_eq!((&anna["email"], &anna["phone"]), (&"anna@corp.example".into(), &"123".into()));
    assert_eq!(anna["title"], "Head of Sales");
}

#[test]
fn a_company_moves_in_while_the_server_runs() {
    let house = House::new();
    let _server = house.serve();
    check_the_company(&house);
}

#[test]
fn a_company_moves_in_while_no_server_runs() {
    let house = House::new();
    house.user("boss");
    check_the_company(&house);
}

#[test]
fn a_file_in_good_order_comes_from_standard_input_too() {
    let house = House::new();
    let said =
        house.run_with(&["user", "import", "-", "--json"], "username,password\nanna,pw-anna-1\n").json();
    assert_eq!(said["made"], 1);
}

#[test]
fn more_people_than_one_request_holds_are_imported_in_portions() {
    let house = House::new().environment("CHANCERY_LOG_LEVEL", "warn");
    let _server = house.serve();
    let mut text = String::from("username,password\n");
    for number in 0..300 {
        text.push_str(&format!("user{number},password-{number}\n"));
    }
    let said = house.run_with(&["user", "import", "-", "--json"], &text).json();
    assert_eq!(said["made"], 300);
}

#[test]
fn a_file_that_is_none_is_refused() {
    let house = House::new();
    house.user("boss");
    let refused = house.run(&["user", "import", "nowhere.csv"]).refused();
    assert!(refused.contains("nowhere.csv"), "{refused}");
    let refused = house.run_with(&["user", "import", "-"], "name,mail\n").refused();
    assert!(refused.contains("there is no column \"mail\""), "{refused}");
}
