//! `chancery serve`, from the first run to the last signal.

use crate::house::{House, contains, mode};

/// The value after a label in the banner.
fn after<'a>(banner: &'a str, label: &str) -> &'a str {
    banner.lines().find_map(|line| line.trim().strip_prefix(label)).unwrap().trim()
}

#[test]
fn the_first_run_makes_everything_and_says_how_to_sign_in_once() {
    let house = House::new();
    let first = house.serve();
    assert_eq!(mode(&house.data()), 0o700);
    assert_eq!(mode(&house.path("data.key")), 0o600);
    assert_eq!(mode(&house.path("data.sock")), 0o600);
    assert_eq!(after(&first.banner, "address"), "admin@localhost");
    let password = after(&first.banner, "password").to_owned();
    assert_eq!(password.len(), 24);
    let phrase = std::fs::read_to_string(house.path("data.key")).unwrap();
    assert!(first.banner.contains(phrase.trim()));
    assert!(first.banner.contains("self-signed"));
    let (ended, log) = first.end("TERM");
    assert!(ended.success(), "{ended}");
    assert!(!log.contains(&password) && !log.contains(phrase.trim()), "secrets do not belong in the log");

    let second = house.serve();
    assert!(
        !second.banner.contains("password") && !second.banner.contains(phrase.trim()),
        "{}",
        second.banner
    );
    let people = house.run(&["user", "list", "--json"]).json();
    assert_eq!((&people[0]["address"], &people[0]["role"]), (&"admin@localhost".into(), &"admin".into()));
}

#[test]
fn what_must_not_be_kept_goes_past_the_journal() {
    let house = House::new().environment("JOURNAL_STREAM", "8:1234");
    let server = house.serve();
    let notes = house.path("data.first-run");
    assert_eq!(mode(&notes), 0o600);
    let written = std::fs::read_to_string(&notes).unwrap();
    let phrase = std::fs::read_to_string(house.path("data.key")).unwrap();
    assert!(written.contains(phrase.trim()) && !server.banner.contains(phrase.trim()));
    assert!(!server.banner.contains(after(&written, "password")));
    assert!(server.banner.contains("data.first-run"));
}

#[test]
fn signals_end_it_in_order_and_the_socket_goes() {
    let house = House::new();
    for signal in ["TERM", "INT"] {
        let (ended, log) = house.serve().end(signal);
        assert!(ended.success(), "{signal}: {ended}");
        assert!(log.contains("\"stopped\""), "{log}");
        assert!(!house.path("data.sock").exists());
    }
}

#[test]
fn in_a_pipe_every_line_of_the_log_is_json() {
    let house = House::new();
    let (_, log) = house.serve().end("TERM");
    assert!(log.lines().count() > 1);
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
}

#[test]
fn killed_it_starts_again_over_what_it_left_behind() {
    let house = House::new();
    let (ended, _) = house.serve().end("KILL");
    assert!(!ended.success());
    assert!(house.path("data.sock").exists());
    let again = house.serve();
    assert_eq!(again.status()["running"], true);
}

#[test]
fn a_second_server_on_the_same_folder_is_refused() {
    let house = House::new();
    let _first = house.serve();
    let second = house.run(&["serve"]);
    assert_eq!(second.code, Some(1));
    assert!(second.err.contains("another process is using this data folder"), "{}", second.err);
}

#[test]
fn a_configuration_that_cannot_be_used_is_refused_with_its_line() {
    let house = House::new();
    house.configure("[limits]\nstanza_byte = 1\n");
    let refused = house.run(&["serve"]).refused();
    assert!(refused.contains("stanza_byte; did you mean limits.stanza_bytes?"), "{refused}");
    assert!(refused.contains("chancery.toml:8:"), "{refused}");
    assert!(!house.data().exists(), "nothing is made before the configuration makes sense");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let house = House::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let house = house.environment("CHANCERY_LISTEN_XMPP", &address.to_string());
    let refused = house.run(&["serve"]).refused();
    assert!(refused.contains(&address.to_string()) && refused.contains("listen.xmpp"), "{refused}");
}

#[test]
fn a_hangup_reloads_what_can_change_and_names_what_cannot() {
    let house = House::new();
    let mut server = house.serve();
    assert!(server.get("/metrics").contains("200 OK"));
    house.configure("[metrics]\ntoken = \"a-token-to-read-with\"\n");
    server.signal("HUP");
    server.wait_for_log("are read again");
    assert!(server.get("/metrics").contains("401 Unauthorized"));

    house.configure("[development]\ninsecure_login = true\n");
    server.signal("HUP");
    let line = server.wait_for_log("need a restart");
    assert!(line.contains("development.insecure_login"), "{line}");

    house.configure("[nonsense]\n");
    server.signal("HUP");
    server.wait_for_log("the reload changed nothing");
    house.configure("");
    assert_eq!(server.status()["running"], true);
}

#[test]
fn a_reload_by_command_answers() {
    let house = House::new();
    house.run(&["reload"]).refused();
    let _server = house.serve();
    assert_eq!(house.run(&["reload"]).ok(), "read again\n");
    house.configure("[registration]\nopen = true\n[contact]\nadmin = [\"it@corp.example\"]\n");
    let answer = house.run(&["reload", "--json"]).json();
    assert_eq!(answer["restart_needed"], serde_json::json!(["registration.open", "contact"]));
}

#[test]
fn a_renewed_certificate_is_shown_after_a_reload_and_a_broken_one_is_not() {
    let house = House::new();
    let write = || {
        let made = rcgen::generate_simple_self_signed(["corp.example".to_owned()]).unwrap();
        std::fs::write(house.path("a.pem"), made.cert.pem()).unwrap();
        std::fs::write(house.path("a.key"), made.signing_key.serialize_pem()).unwrap();
    };
    write();
    house.configure("[tls]\ncertificate = \"a.pem\"\nkey = \"a.key\"\n");
    let server = house.serve();
    let first = server.status()["certificate"].clone();
    assert_eq!(first["names"][0], "corp.example");
    write();
    house.run(&["reload"]).ok();
    let second = server.status()["certificate"].clone();
    assert_ne!(first["sha256"], second["sha256"]);

    std::fs::write(house.path("a.key"), "half a file").unwrap();
    let refused = house.run(&["reload"]).refused();
    assert!(refused.contains("PEM private key") && !refused.contains("half a file"), "{refused}");
    assert_eq!(server.status()["certificate"], second);
}

#[test]
fn the_server_takes_as_many_files_as_the_system_allows() {
    let house = House::new();
    let server = house.serve();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.status()["pid"])).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let numbers: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "{line}");
}

#[test]
fn the_web_side_answers() {
    let house = House::new();
    let server = house.serve();
    assert!(server.get("/healthz").ends_with("{\"status\":\"ok\"}"));
    assert!(server.get("/").contains("Chancery"));
    assert!(server.get("/.well-known/host-meta.json").contains("/xmpp-websocket"));
}

#[test]
fn names_and_addresses_are_not_readable_at_rest() {
    let house = House::new();
    let server = house.serve();
    let add = ["user", "add", "wilhelmine", "--password-stdin", "--display-name", "Wilhelmine Quast"];
    let more = ["--group", "Zentralarchiv", "--email", "quast@corp.example", "--phone", "+49 30 1234567"];
    house.run_with(&[&add[..], &more].concat(), "correct horse\n").ok();
    server.end("KILL");
    let bytes = house.bytes_at_rest();
    assert!(bytes.len() > 10_000);
    for word in
        ["wilhelmine", "quast", "zentralarchiv", "1234567", "correct horse", "BEGIN CERTIFICATE", "admin@"]
    {
        assert!(!contains(&bytes, word), "{word:?} can be read in the data folder");
    }
}

#[test]
fn with_the_key_from_the_environment_no_file_is_made() {
    let house = House::new();
    house.user("anna");
    let phrase = std::fs::read_to_string(house.path("data.key")).unwrap();
    std::fs::remove_file(house.path("data.key")).unwrap();
    let house = house.environment("CHANCERY_MASTER_KEY", phrase.trim());
    let _server = house.serve();
    assert!(!house.path("data.key").exists());
}

#[test]
fn with_the_key_from_a_command_the_command_is_asked() {
    let house = House::new();
    house.user("anna");
    std::fs::rename(house.path("data.key"), house.path("elsewhere")).unwrap();
    house.configure("[key]\ncommand = \"cat elsewhere\"\n");
    assert!(house.run(&["user", "list"]).ok().contains("anna@localhost"));
    house.configure("[key]\ncommand = \"exit 7\"\n");
    let refused = house.run(&["user", "list"]).refused();
    assert!(refused.contains("key command failed"), "{refused}");
}
