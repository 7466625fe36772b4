//! `chancery keys` and `chancery archive`: what seals and what proves.

use crate::house::House;

fn key(house: &House) -> String {
    std::fs::read_to_string(house.path("data.key")).unwrap().trim().to_owned()
}

#[test]
fn showing_keys_shows_no_key() {
    let house = House::new();
    house.user("anna");
    let shown = house.run(&["keys", "show", "--json"]).ok();
    assert!(!shown.contains(&key(&house)));
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["master_key"]["source"], "file");
    assert!(shown["data_keys"].as_u64().unwrap() >= 1);
    assert_eq!(shown["archive_public_key"].as_str().unwrap().len(), 64);
}

#[test]
fn a_rotated_key_opens_what_the_old_one_no_longer_does() {
    let house = House::new();
    let server = house.serve();
    let old = key(&house);
    let said = house.run(&["keys", "rotate"]).ok();
    let new = key(&house);
    assert_ne!(old, new);
    assert!(said.contains(&new), "{said}");
    // The running server goes on, and so does the next one.
    house.user("anna");
    assert!(server.end("TERM").0.success());
    assert!(house.run(&["user", "list"]).ok().contains("anna@localhost"));

    std::fs::write(house.path("data.key"), &old).unwrap();
    let refused = house.run(&["user", "list"]).refused();
    assert!(refused.contains("wrong master key"), "{refused}");
}

#[test]
fn a_rotation_that_was_cut_off_before_the_file_moved_is_finished() {
    let house = House::new();
    house.user("anna");
    let old = key(&house);
    house.run(&["keys", "rotate"]).ok();
    // As if the power had failed after the keys were wrapped anew and before the file took its place.
    std::fs::rename(house.path("data.key"), house.path("data.key.new")).unwrap();
    std::fs::write(house.path("data.key"), &old).unwrap();
    crate::house::set_mode(&house.path("data.key"), 0o600);
    assert!(house.run(&["user", "list"]).ok().contains("anna@localhost"));
    assert_ne!(key(&house), old);
    assert!(!house.path("data.key.new").exists());
}

#[test]
fn a_lost_key_file_comes_back_from_the_recovery_phrase() {
    let house = House::new();
    house.user("anna");
    let phrase = key(&house);
    std::fs::remove_file(house.path("data.key")).unwrap();
    let refused = house.run(&["user", "list"]).refused();
    assert!(refused.contains("chancery keys restore"), "{refused}");
    assert!(!house.path("data.key").exists(), "a new key would hide the loss");

    let other = House::new();
    other.user("ben");
    let wrong = house.run_with(&["keys", "restore", "--phrase-stdin"], &key(&other)).refused();
    assert!(wrong.contains("wrong master key"), "{wrong}");
    assert!(!house.path("data.key").exists(), "a key that does not open the folder must not stay");
    let typo = house.run_with(&["keys", "restore", "--phrase-stdin"], "ABCD").refused();
    assert!(!typo.contains("ABCD"), "{typo}");

    let sloppy = phrase.to_lowercase().replace('-', " ");
    house.run_with(&["keys", "restore", "--phrase-stdin"], &sloppy).ok();
    assert!(house.run(&["user", "list"]).ok().contains("anna@localhost"));
    house.run_with(&["keys", "restore", "--phrase-stdin"], &phrase).refused();
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let house = House::new();
    house.user("anna");
    crate::house::set_mode(&house.path("data.key"), 0o644);
    let refused = house.run(&["serve"]).refused();
    assert!(refused.contains("data.key") && refused.contains("chmod 600"), "{refused}");
}

#[test]
fn the_archive_verifies_with_and_without_the_master_key() {
    let house = House::new();
    let server = house.serve();
    let report = house.run(&["archive", "verify", "--json"]).json();
    assert_eq!(report["intact"], true);
    let public = house.run(&["archive", "key"]).ok().trim().to_owned();
    assert_eq!(report["public_key"], public.as_str());
    let busy = house.run(&["archive", "verify", "--public-key", &public]).refused();
    assert!(busy.contains("backup"), "{busy}");
    assert!(server.end("TERM").0.success());

    std::fs::remove_file(house.path("data.key")).unwrap();
    let report = house.run(&["archive", "verify", "--public-key", &public, "--json"]).json();
    assert_eq!(report["intact"], true);
    assert_eq!(house.run(&["archive", "verify", "--public-key", "nonsense"]).code, Some(2));
}
