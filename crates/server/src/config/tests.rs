use super::*;

fn load(text: &str) -> Result<Config, ConfigError> {
    load_with(text, &[])
}

fn load_with(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE_NAME);
    std::fs::write(&file, text).unwrap();
    let environment = environment.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Config::load(&Sources { file: Some(file), data: None, environment })
}

fn refusal(text: &str) -> String {
    load(text).unwrap_err().to_string()
}

#[test]
fn an_empty_file_means_loopback_and_localhost() {
    let config = load("").unwrap();
    assert_eq!(config.domain().as_str(), "localhost");
    assert!(config.listen.all().all(|(_, address)| is_loopback(&address)));
    let ports: Vec<u16> = config.listen.all().map(|(_, address)| address.port()).collect();
    assert_eq!(ports, [5222, 5223, 5269, 5280, 5347]);
    assert_eq!(config.limits.stanza_bytes, 262_144);
    assert_eq!(config.limits.stanzas_per_second, None);
    assert_eq!(config.policy.encrypted_messages, EncryptedMessages::Refuse);
    assert!(!config.registration.open && !config.development.insecure_login);
}

#[test]
fn the_default_is_what_an_empty_file_means() {
    let mut config = load("").unwrap();
    let default = Config::default();
    // The file's folder is the only difference.
    config.data = default.data.clone();
    config.key = default.key.clone();
    config.admin_socket = default.admin_socket.clone();
    assert_eq!(config, default);
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_what_was_meant() {
    let text = refusal("domain = \"corp.example\"\n[limits]\nstanza_byte = 3\n");
    assert!(text.contains("chancery.toml:3: there is no key limits.stanza_byte"), "{text}");
    assert!(text.contains("did you mean limits.stanza_bytes?"), "{text}");
}

#[test]
fn a_key_in_the_wrong_section_is_shown_the_way_home() {
    let text = refusal("insecure_login = true\n");
    assert!(text.contains("did you mean development.insecure_login?"), "{text}");
}

#[test]
fn a_value_of_the_wrong_kind_is_refused_with_the_right_kind() {
    let text = refusal("[listen]\nxmpp = \"127.0.0.1:5222\"\n[registration]\nopen = \"yes\"\n");
    assert!(text.contains("chancery.toml:2: listen.xmpp wants a list of strings"), "{text}");
    assert!(text.contains("chancery.toml:4: registration.open wants true or false"), "{text}");
    assert!(refusal("[limits]\nstanza_bytes = -1\n").contains("whole number"));
    assert!(refusal("limits = 3\n").contains("limits is a section"));
}

#[test]
fn a_syntax_error_names_its_line() {
    let text = refusal("domain = \"corp.example\"\nlisten = [\n[x\n");
    assert!(text.contains("chancery.toml:"), "{text}");
}

#[test]
fn every_problem_is_reported_at_once() {
    let error =
        load("domain = \"a b\"\n[log]\nformat = \"xml\"\n[metrics]\ntoken = \"short\"\n").unwrap_err();
    assert_eq!(error.problems.len(), 3, "{error}");
    assert!(!error.to_string().contains("\"short\""), "the token must not be repeated: {error}");
}

#[test]
fn an_address_that_others_can_reach_needs_a_domain() {
    let listen = "[listen]\nxmpp = [\"0.0.0.0:5222\"]\n";
    assert!(refusal(listen).contains("no domain is configured"));
    assert!(load(&format!("domain = \"corp.example\"\n{listen}")).is_ok());
    assert!(
        load("[listen]\nxmpp = [\"[::1]:5222\", \"127.8.9.1:5222\", \"[::ffff:127.0.0.1]:5222\"]\n").is_ok()
    );
}

#[test]
fn insecure_login_needs_every_listener_on_loopback() {
    let switch = "[development]\ninsecure_login = true\n";
    assert!(load(switch).unwrap().development.insecure_login);
    let text = refusal(&format!("domain = \"corp.example\"\n[listen]\nhttp = [\"10.0.0.1:80\"]\n{switch}"));
    assert!(text.contains("development.insecure_login") && text.contains("listen.http"), "{text}");
}

#[test]
fn one_address_cannot_serve_two_purposes_unless_the_system_chooses_it() {
    assert!(refusal("[listen]\nxmpp = [\"127.0.0.1:5280\"]\n").contains("taken by listen.xmpp already"));
    assert!(load("[listen]\nxmpp = [\"127.0.0.1:0\"]\nhttp = [\"127.0.0.1:0\"]\n").is_ok());
}

#[test]
fn the_environment_wins_over_the_file() {
    let config = load_with(
        "domain = \"file.example\"\n[limits]\nlogins_per_minute = 7\n",
        &[
            ("CHANCERY_DOMAIN", "env.example"),
            ("CHANCERY_LISTEN_XMPP", "127.0.0.1:1, 127.0.0.1:2"),
            ("CHANCERY_REGISTRATION_OPEN", "yes"),
            ("CHANCERY_LIMITS_LOGINS_PER_MINUTE", "0"),
        ],
    )
    .unwrap();
    assert_eq!(config.domain().as_str(), "env.example");
    assert_eq!(config.listen.xmpp.len(), 2);
    assert!(config.registration.open);
    assert_eq!(config.limits.logins_per_minute, None);
}

#[test]
fn a_problem_from_the_environment_names_the_variable() {
    let text = load_with("", &[("CHANCERY_LISTEN_XMPP", "5222")]).unwrap_err().to_string();
    assert!(text.contains("CHANCERY_LISTEN_XMPP"), "{text}");
    let text = load_with("", &[("CHANCERY_LIMITS_CONNECTIONS", "many")]).unwrap_err().to_string();
    assert!(text.contains("CHANCERY_LIMITS_CONNECTIONS") && text.contains("whole number"), "{text}");
}

#[test]
fn a_variable_that_no_key_reads_is_a_warning() {
    let config = load_with("", &[("CHANCERY_DOMIAN", "corp.example")]).unwrap();
    assert!(config.warnings[0].contains("did you mean CHANCERY_DOMAIN?"), "{:?}", config.warnings);
}

#[test]
fn every_key_has_its_own_variable() {
    let variables: std::collections::HashSet<String> = KEYS.iter().map(Key::variable).collect();
    assert_eq!(variables.len(), KEYS.len());
}

#[test]
fn every_key_of_the_table_is_understood() {
    for key in KEYS {
        let value = match key.kind {
            Kind::Text => "x",
            Kind::Texts => "x",
            Kind::Switch => "true",
            Kind::Count => "1",
            Kind::Tables(_) => "[]",
        };
        // Most of these values are refused; none may be unknown to the structs behind the table.
        if let Err(error) = load_with("", &[(&key.variable(), value)]) {
            assert!(!error.to_string().contains("unknown field"), "{}: {error}", key.path);
        }
    }
}

#[test]
fn the_first_domain_leads_and_services_cannot_be_domains() {
    let config = load("domain = \"b.example\"\ndomains = [\"a.example\", \"B.example\"]\n").unwrap();
    let names: Vec<&str> = config.domains.iter().map(|domain| domain.as_str()).collect();
    assert_eq!(names, ["b.example", "a.example"]);
    assert!(config.serves(&config.domains[1]));
    assert!(
        refusal("domains = [\"a.example\", \"conference.a.example\"]\n").contains("a service of a.example")
    );
}

#[test]
fn paths_of_the_file_are_relative_to_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE_NAME);
    std::fs::write(&file, "data = \"store\"\n[tls]\ncertificate = \"a.pem\"\nkey = \"/etc/b.pem\"\n")
        .unwrap();
    let config = Config::load(&Sources { file: Some(file.clone()), ..Sources::default() }).unwrap();
    assert_eq!(config.data, folder.path().join("store"));
    assert_eq!(config.key, KeySource::File(folder.path().join("store.key")));
    assert_eq!(config.admin_socket, folder.path().join("store.sock"));
    let tls = config.tls.unwrap();
    assert_eq!((tls.certificate, tls.key), (folder.path().join("a.pem"), "/etc/b.pem".into()));

    let sources = Sources { file: Some(file), data: Some("elsewhere".into()), ..Sources::default() };
    let config = Config::load(&sources).unwrap();
    assert_eq!(config.data, PathBuf::from("elsewhere"));
    assert_eq!(config.key, KeySource::File("elsewhere.key".into()));
}

#[test]
fn components_come_from_the_file_or_from_the_environment() {
    let file =
        "domain = \"corp.example\"\n[[components]]\ndomain = \"IRC.corp.example\"\nsecret = \"s3cret\"\n";
    let config = load(file).unwrap();
    assert_eq!(config.components[0].domain.as_str(), "irc.corp.example");
    assert_eq!(config.components[0].secret.expose(), "s3cret");
    assert!(!format!("{config:?}").contains("s3cret"));

    let twin = "[{domain = \"sms.corp.example\", secret = \"a\"}, {domain = \"b.example\", secret = \"b\"}]";
    let config = load_with(file, &[("CHANCERY_COMPONENTS", twin)]).unwrap();
    let domains: Vec<&str> = config.components.iter().map(|component| component.domain.as_str()).collect();
    assert_eq!(domains, ["sms.corp.example", "b.example"]);
    for broken in ["sms.corp.example", "[1]", "[{domain = \"a\", secrets = \"b\"}]", "[]\ndomain = \"a\""] {
        let error = load_with("", &[("CHANCERY_COMPONENTS", broken)]).unwrap_err().to_string();
        assert!(error.contains("CHANCERY_COMPONENTS"), "{broken}: {error}");
    }
}

#[test]
fn a_service_for_calls_has_one_way_in() {
    let service =
        |lines: &str| format!("[[external_services]]\ntype = \"turn\"\nhost = \"t.example\"\n{lines}");
    let access = |lines: &str| load(&service(lines)).unwrap().external_services.remove(0).access;
    assert_eq!(access(""), Access::Open);
    assert!(
        matches!(access("secret = \"north\"\n"), Access::Shared { valid, .. } if valid.as_secs() == 86_400)
    );
    assert!(matches!(access("username = \"u\"\npassword = \"p\"\n"), Access::Fixed { .. }));
    for (lines, words) in [
        ("secret = \"a\"\nusername = \"u\"\n", "a secret alone"),
        ("username = \"u\"\n", "a secret alone"),
        ("port = 70000\n", "out of range"),
        ("transport = \"pigeon\"\n", "\"udp\" or \"tcp\""),
        ("valid_seconds = 1\n", "external_services"),
        ("hots = \"x\"\n", "has no hots"),
    ] {
        let text = refusal(&service(lines));
        assert!(text.contains(words), "{lines}: {text}");
    }
}

#[test]
fn a_component_has_a_domain_of_its_own_and_a_secret() {
    let with = |lines: &str| refusal(&format!("domain = \"corp.example\"\n{lines}"));
    let component = |domain: &str, secret: &str| {
        format!("[[components]]\ndomain = \"{domain}\"\nsecret = \"{secret}\"\n")
    };
    assert!(with(&component("corp.example", "x")).contains("served by this server itself"));
    assert!(with(&component("conference.corp.example", "x")).contains("served by this server itself"));
    assert!(with(&component("a.example", "x").repeat(2)).contains("is there twice"));
    assert!(with(&component("a.example", "")).contains("needs a secret"));
    assert!(
        with("[[components]]\nname = \"a\"\n").contains(":3: components has no name; it has domain, secret")
    );
    assert!(with("[[components]]\ndomain = 3\n").contains("domain wants a string"));
    assert!(with("components = [3]\n").contains("wants tables"));
}

#[test]
fn the_master_key_stays_out_of_the_data_folder() {
    assert!(refusal("data = \"d\"\n[key]\nfile = \"d/master\"\n").contains("outside the data folder"));
    let config = load("[key]\ncommand = \"kms unwrap\"\n").unwrap();
    assert_eq!(config.key, KeySource::Command("kms unwrap".into()));
    let config = load_with("", &[(MASTER_KEY_VARIABLE, "…")]).unwrap();
    assert_eq!((config.key, config.warnings), (KeySource::Environment, vec![]));
}

#[test]
fn limits_that_would_lock_everybody_out_are_refused() {
    let text = refusal("[limits]\nstanza_bytes = 100\npreauth_seconds = 0\noutbox_stanzas = 0\n");
    for key in ["limits.stanza_bytes", "limits.preauth_seconds", "limits.outbox_stanzas"] {
        assert!(text.contains(key), "{text}");
    }
}

#[test]
fn half_a_certificate_is_refused() {
    assert!(refusal("[tls]\ncertificate = \"a.pem\"\n").contains("needs tls.key"));
    assert!(refusal("[tls]\nkey = \"a.pem\"\n").contains("needs tls.certificate"));
}

#[test]
fn contacts_become_uris() {
    let config = load("[contact]\nadmin = [\"it@corp.example\", \"xmpp:admin@corp.example\"]\n").unwrap();
    let fields: Vec<_> = config.contact.fields().collect();
    let expected = ["mailto:it@corp.example".to_owned(), "xmpp:admin@corp.example".to_owned()];
    assert_eq!(fields, [("admin-addresses", &expected[..])]);
    assert!(refusal("[contact]\nabuse = [\"ring the bell\"]\n").contains("mail address"));
}

#[test]
fn a_public_url_is_an_origin() {
    let config = load("[http]\npublic_url = \"https://chat.corp.example/\"\n").unwrap();
    assert_eq!(config.http.public_url.as_deref(), Some("https://chat.corp.example"));
    for url in ["chat.corp.example", "https://", "https://a/b", "ftp://a", "https://u@a"] {
        assert!(refusal(&format!("[http]\npublic_url = \"{url}\"\n")).contains("scheme"), "{url}");
    }
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let config = load("[metrics]\ntoken = \"a-very-long-token\"\n").unwrap();
    assert!(!format!("{config:?}").contains("a-very-long-token"));
}

#[test]
fn reloading_takes_what_can_change_and_names_what_cannot() {
    let old = load("").unwrap();
    let mut new = old.clone();
    new.limits.logins_per_minute = None;
    new.log.level = "debug".into();
    assert!(old.needs_restart(&new).is_empty());
    assert_eq!(old.with_reloaded(&new), new);

    new.limits.stanza_bytes = 20_000;
    new.listen.xmpp.clear();
    assert_eq!(old.needs_restart(&new), ["listen", "limits"]);
    let merged = old.with_reloaded(&new);
    assert_eq!(merged.limits.logins_per_minute, None);
    assert_eq!((merged.limits.stanza_bytes, merged.listen), (old.limits.stanza_bytes, old.listen));
}

#[test]
fn every_key_is_documented_and_every_documented_key_exists() {
    let page = include_str!("../../../../docs/configuration.md");
    for key in KEYS {
        assert!(
            page.contains(&format!("`{}`", key.path)),
            "docs/configuration.md does not mention {}",
            key.path
        );
    }
    let examples: Vec<&str> =
        page.split("```toml").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        load(example).unwrap();
    }
}

#[test]
fn company_rooms_have_names_that_fit_into_addresses() {
    let config = load(
        "[[company_rooms]]\nname = \"Lobby\"\n[[company_rooms]]\nname = \"news\"\ntitle = \"News\"\nannouncements = true\n",
    );
    let rooms = config.unwrap().company_rooms;
    let told: Vec<_> = rooms.iter().map(|room| (room.name.as_str(), room.title.as_str())).collect();
    assert_eq!(told, [("lobby", "Lobby"), ("news", "News")]);
    assert!(refusal("[[company_rooms]]\nname = \"a b\"\n").contains("first part"));
    assert!(refusal("[[company_rooms]]\nname = \"a\"\n[[company_rooms]]\nname = \"A\"\n").contains("twice"));
}
