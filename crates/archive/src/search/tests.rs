//! The language, read, printed and decided.

use jid::Jid;
use proptest::prelude::*;
use time::OffsetDateTime;
use vault::{Micros, Sequence};

use super::{Bare, Context, Fate, Language, Question, Unreadable};
use crate::{Item, Ledger};

fn language() -> Language {
    // 2026-11-22, a Sunday.
    let now = OffsetDateTime::from_unix_timestamp(1_795_359_600).unwrap();
    Language {
        now: Micros(now.unix_timestamp() * 1_000_000),
        me: Some(jid::BareJid::new("anna@a.example").unwrap()),
        patterns: true,
        ..Language::default()
    }
}

fn read(text: &str) -> Result<Question, Unreadable> {
    Question::parse(text, &language())
}

fn printed(text: &str) -> String {
    read(text).unwrap_or_else(|error| panic!("{}", error.caret(text))).to_string()
}

fn item(from: &str, to: &str, inner: &str) -> Item {
    typed("chat", from, from, to, inner)
}

fn typed(type_: &str, from: &str, shown: &str, to: &str, inner: &str) -> Item {
    let stanza = format!(
        "<message xmlns='jabber:client' from='{shown}' to='{to}' type='{type_}' id='x'>{inner}</message>"
    );
    Item {
        sequence: Sequence(1),
        time: language().now,
        ledger: Ledger::Messages,
        from: Jid::new(from).unwrap(),
        to: Jid::new(to).unwrap(),
        stanza: stanza.into(),
    }
}

fn says(body: &str) -> Item {
    item("anna@a.example/x", "ben@a.example", &format!("<body>{body}</body>"))
}

fn answers(question: &str, item: &Item) -> bool {
    read(question).unwrap_or_else(|error| panic!("{}", error.caret(question))).matches(item, &Bare)
}

#[test]
fn questions_are_printed_in_normal_form() {
    for (text, normal) in [
        ("", ""),
        ("  Hello   WORLD ", "hello world"),
        ("a AND b & c", "a b c"),
        ("a OR b | c", "a OR b OR c"),
        ("a (b OR c) -d NOT e", "a (b OR c) -d -e"),
        ("-(a b) --c -(d) -(-e)", "-(a b) -c -d e"),
        ("\"Exact Words\" “curly” „German“", "\"Exact Words\" \"curly\" \"German\""),
        ("rea* (x)", "rea* x"),
        ("one NEAR(5) two", "one NEAR(5) two"),
        ("one NEAR/5 two NEAR three", "one NEAR(5) two two NEAR(8) three"),
        ("sender:Anna channel:#general", "from:anna in:general"),
        ("from:me dm:ben", "from:anna@a.example with:ben is:dm"),
        ("from:\"Anna Karenina\"", "from:\"anna karenina\""),
        (
            "on:yesterday before:\"last week\" after:2026-W12",
            "during:yesterday before:\"last week\" after:2026-w12",
        ),
        ("has:attachment is:retracted has:emoji", "has:file is:deleted has:reaction"),
        ("~fo+ \\~ba[rz]~", "~fo+ \\~ba[rz]~"),
        ("http://a.example/x?y (why?)", "http://a.example/x?y why"),
        ("10:30 «,from:x»", "10:30 \",from:x\""),
        (",from:x", "from/x"),
        ("C++ - !!ok!!", "c ok"),
        (
            "thread:AbC label:Urgent filename:Report via:Telegram",
            "thread:AbC label:urgent filename:report via:telegram",
        ),
    ] {
        let once = printed(text);
        assert_eq!(once, normal, "{text}");
        assert_eq!(printed(&once), once, "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_pointed_at() {
    for (text, marked, words) in [
        ("a \"b c", "\"", "partner"),
        ("(a b", "(", "never closed"),
        ("a) b", ")", "never opened"),
        ("a ()", "()", "nothing between"),
        ("OR a", "OR", "before OR"),
        ("a OR", "OR", "after OR"),
        ("a AND", "AND", "after AND"),
        ("a NOT", "NOT", "after the minus"),
        ("a NEAR(3) from:b", "from:b", "between words"),
        ("a NEAR(x) b", "NEAR(x)", "number"),
        ("a NEAR(500) b", "NEAR(500)", "1 to 100"),
        ("NEAR(3) b", "NEAR(3)", "before NEAR"),
        ("a NEAR(3)", "NEAR(3)", "after NEAR"),
        ("x from: y", "from:", "needs a value"),
        ("from:(a OR b)", "from:", "one value"),
        ("form:anna", "form:", "did you mean `from:`"),
        ("befor:today", "befor:", "`before:`"),
        ("before:someday", "someday", "no date"),
        ("has:money", "money", "file, link"),
        ("is:funny", "funny", "dm, room"),
        ("in:#", "#", "name of a room"),
        ("a*", "a*", "two letters"),
        ("a ?!", "?!", "no word"),
        ("\"?!\"", "\"?!\"", "no word"),
        ("~(~", "~(~", "no pattern"),
        ("~~", "~~", "no pattern"),
        ("~(a{1000}){1000}~", "~(a{1000}){1000}~", "too large"),
    ] {
        let error = read(text).unwrap_err();
        assert_eq!(&text[error.at.clone()], marked, "{text}: {error}");
        assert!(error.message.contains(words), "{text}: {error}");
    }
    let plain = Language { patterns: false, ..language() };
    assert!(Question::parse("~a~", &plain).unwrap_err().message.contains("auditors"));
    assert!(read(&"(".repeat(100)).unwrap_err().message.contains("deep"));
    assert!(read(&"-".repeat(4000)).is_ok());
    assert!(read(&"a ".repeat(300)).unwrap_err().message.contains("at most 256"));
    assert!(read(&"a".repeat(5000)).unwrap_err().message.contains("4096"));
}

#[test]
fn carets_stand_under_what_is_meant() {
    let text = "größe form:anna";
    let shown = read(text).unwrap_err().caret(text);
    assert!(shown.starts_with("größe form:anna\n      ^^^^^\nThere is no `form:`"), "{shown}");
    let text = "one\ntwo )";
    assert!(read(text).unwrap_err().caret(text).starts_with("two )\n    ^\n"));
}

#[test]
fn words_are_compared_by_stem_without_case_and_accents() {
    let item = says("The meetings about Müller's e-mail were moved to the HTTPServer room");
    for question in [
        "meeting",
        "MEETINGS",
        "muller",
        "müller",
        "e-mail",
        "email",
        "mail",
        "http",
        "httpserver",
        "HTTPServer",
        "moved meeting",
        "meeting -cancelled",
        "cancelled OR meeting",
        "(a OR meeting) room",
        "meet*",
        "mul* serv*",
        "\"the meetings about\"",
        "\"Müller's e-mail\"",
        "\"email were\"",
        "meeting NEAR(3) muller",
        "muller NEAR(3) meeting",
        "\"the meetings\" NEAR(2) muller",
        "~m.l+er~",
        "-~sparrow~",
        "e-ma*",
    ] {
        assert!(answers(question, &item), "{question}");
    }
    for question in [
        "met",
        "cancelled",
        "-meeting",
        "meeting cancelled",
        "\"meeting about\"",
        "\"about meetings\"",
        "room*x",
        "meeting NEAR(2) room",
        "the NEAR(1) the",
        "\"mail were moved away\"",
        "eet*",
        "~^room~",
        "-(a OR meeting)",
    ] {
        assert!(!answers(question, &item), "{question}");
    }
}

#[test]
fn words_of_scripts_without_spaces_are_found_in_the_middle() {
    let item = says("明日の會議室は東京2024です");
    for question in ["會議", "會議室", "室", "會", "東京", "京", "2024", "\"會議室は東京\"", "會*"]
    {
        assert!(answers(question, &item), "{question}");
    }
    for question in ["議會", "會室", "大阪", "202"] {
        assert!(!answers(question, &item), "{question}");
    }
    assert!(answers("👍", &says("ok 👍🏽")));
}

#[test]
fn people_and_rooms_are_found_by_their_names() {
    let dm = item("anna@a.example/x", "ben@b.example", "<body>hi</body>");
    for question in [
        "from:anna",
        "from:@anna",
        "from:anna@a.example",
        "from:me",
        "from:@a.example",
        "to:ben",
        "to:@b.example",
        "with:anna",
        "with:ben",
        "dm:ben",
        "is:dm",
        "via:b",
        "via:b.example",
        "from:anna@a.example/x",
        "-is:room",
    ] {
        assert!(answers(question, &dm), "{question}");
    }
    for question in [
        "from:ben",
        "to:anna",
        "with:carl",
        "in:ben",
        "is:room",
        "from:ann",
        "via:c",
        "from:anna@a.example/y",
    ] {
        assert!(!answers(question, &dm), "{question}");
    }
    let said = typed(
        "groupchat",
        "anna@a.example/x",
        "tea@rooms.a.example/Nan",
        "tea@rooms.a.example",
        "<body>hi</body>",
    );
    for question in
        ["in:tea", "in:#tea", "in:tea@rooms.a.example", "from:nan", "from:anna", "is:room", "to:tea"]
    {
        assert!(answers(question, &said), "{question}");
    }
    assert!(!answers("in:coffee", &said) && !answers("is:dm", &said));
    struct Discreet;
    impl Context for Discreet {
        fn reveals(&self) -> bool {
            false
        }
    }
    let by = |name: &str, item: &Item| read(name).unwrap().matches(item, &Discreet);
    assert!(!by("from:anna", &said), "the room does not show who is behind the nick");
    assert!(by("from:nan", &said) && by("from:anna", &dm));
    let open = typed(
        "groupchat",
        "anna@a.example/x",
        "tea@rooms.a.example/Nan",
        "tea@rooms.a.example",
        "<body>hi</body><x xmlns='http://jabber.org/protocol/muc#user'><item jid='anna@a.example/x'/></x>",
    );
    assert!(by("from:anna", &open), "this room does");
    let whisper =
        typed("chat", "anna@a.example/x", "tea@rooms.a.example/Nan", "ben@a.example/y", "<body>psst</body>");
    assert!(by("in:tea from:nan", &whisper) && !by("from:anna", &whisper) && by("is:dm", &whisper));
}

#[test]
fn files_links_threads_and_changes_are_found() {
    let file = item(
        "anna@a.example/x",
        "ben@a.example",
        "<body>https://up.a.example/1/Q3%20Report.PNG</body><x xmlns='jabber:x:oob'><url>https://up.a.example/1/Q3%20Report.PNG</url></x>\
         <thread>T-1</thread>",
    );
    for question in
        ["has:file", "has:image", "has:link", "filename:report", "filename:\"q3 report\"", "thread:T-1"]
    {
        assert!(answers(question, &file), "{question}");
    }
    for question in
        ["filename:invoice", "thread:t-1", "has:reaction", "is:edited", "is:deleted", "is:held", "label:x"]
    {
        assert!(!answers(question, &file), "{question}");
    }
    let edit = item(
        "anna@a.example/x",
        "ben@a.example",
        "<body>x</body><replace xmlns='urn:xmpp:message-correct:0' id='1'/>",
    );
    assert!(answers("is:edited", &edit));
    struct Knows;
    impl Context for Knows {
        fn has_label(&self, _: &Item, label: &str) -> bool {
            label == "secret"
        }
        fn is_held(&self, _: &Item) -> bool {
            true
        }
        fn is_external(&self, address: &Jid) -> bool {
            address.domain().as_str() != "a.example"
        }
        fn fate(&self, _: &Item) -> Fate {
            Fate { edited: true, deleted: false, reacted: true }
        }
    }
    let known = |question: &str| read(question).unwrap().matches(&file, &Knows);
    assert!(known("label:Secret is:held is:edited has:reaction -is:deleted -is:external"));
}

#[test]
fn time_decides() {
    let item = says("x");
    for question in [
        "on:today",
        "since:today",
        "until:today",
        "after:yesterday",
        "before:2027",
        "during:2026-11",
        "-on:yesterday",
    ] {
        assert!(answers(question, &item), "{question}");
    }
    for question in ["before:today", "after:today", "on:2026-11-21", "until:yesterday", "since:2027"] {
        assert!(!answers(question, &item), "{question}");
    }
}

#[test]
fn the_words_of_the_question_are_highlighted() {
    let item = says("A meeting, then meetings: the MEETING room");
    let reading = super::reading::Reading::new(&item);
    let marked = |question: &str| -> Vec<String> {
        let ranges = read(question).unwrap().highlights(&reading);
        ranges.into_iter().map(|range| reading.text[range].to_owned()).collect()
    };
    assert_eq!(marked("meeting"), ["meeting", "meetings", "MEETING"]);
    assert_eq!(marked("\"the meeting room\" -then"), ["the MEETING room"]);
    assert_eq!(marked("roo* OR ~th..~"), ["then", "the ", "room"]);
    assert_eq!(marked("from:anna"), Vec::<String>::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_is_read_or_pointed_at(text in "\\PC{0,60}") {
        check(&text);
    }

    #[test]
    fn anything_like_a_question_is_read_or_pointed_at(
        parts in proptest::collection::vec(prop::sample::select(vec![
            "a", "rea*", "OR", "AND", "NOT", "-", "(", ")", "\"", "“", "”", "«", "~", "~x+~", "NEAR", "NEAR(3)", "NEAR/2",
            "from:", "from:anna", "form:x", "in:#x", "dm:a", "before:", "before:2026-03", "on:\"last week\"", "has:file", "is:dm", " ",
            " ", " ", "é", "會議", "e-mail", "👍", ":", "*", "/", "\\", ",", "|", "&", "x:y", "İ", "\n", "thread:A", "a:b:c",
        ]), 0..24)) {
        check(&parts.concat());
        check(&parts.join(" "));
    }
}

fn check(text: &str) {
    match read(text) {
        Ok(question) => {
            let normal = question.to_string();
            let again = read(&normal).unwrap_or_else(|error| panic!("{text:?}: {}", error.caret(&normal)));
            assert_eq!(again, question, "{text:?} printed as {normal:?}");
            question.matches(&says(&text.replace(['<', '&', '>'], " ")), &Bare);
        }
        Err(error) => {
            assert!(text.get(error.at.clone()).is_some(), "{text:?} {error:?}");
            error.caret(text);
        }
    }
}
