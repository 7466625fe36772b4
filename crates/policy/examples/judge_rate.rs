//! How long it takes to judge a message of 100 bytes by 100 rules with 10,000 words in their lists.
//!
//! `cargo run --release -p policy --example judge_rate`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "a measuring tool: whatever goes wrong ends the measurement"
)]

use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

use jid::BareJid;
use policy::rules::{Compiled, Direction, Envelope, Facts, Moment, compile, judge};

const TEXTS: [(&str, &str); 4] = [
    (
        "plain",
        "Hello Anna, could you send me the slides of Tuesday's meeting before lunch? I have a call at 2 pm now.",
    ),
    (
        "accents",
        "Grüße aus Köln! Könntest du mir bitte die Präsentation von Dienstag schicken? Bis später, Jürgen Weiß",
    ),
    (
        "numbers",
        "Order 2024-11-22/4711: 3 x 12,50 EUR, pay to DE89 3704 0044 0532 0130 00 or call +49 30 901820-12 ok?",
    ),
    (
        "a card",
        "my card is 4111 1111 1111 1111, exp 12/27, please book two rooms from Monday to Wednesday for the team",
    ),
];

/// Words that look like words: syllables by a fixed sequence.
fn word(state: &mut u64) -> String {
    const SYLLABLES: [&str; 32] = [
        "ka", "ro", "mi", "ten", "sal", "ver", "do", "lin", "qua", "bre", "fo", "gan", "hes", "ju", "pel",
        "stra", "tu", "vi", "wor", "xen", "yo", "zar", "cha", "dri", "ell", "fin", "gro", "har", "ist",
        "kla", "mon", "nor",
    ];
    let mut next = || {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) as usize
    };
    (0..2 + next() % 3).map(|_| SYLLABLES[next() % 32]).collect()
}

fn document() -> String {
    let mut state = 7;
    let mut out = String::new();
    for list in 0..20 {
        writeln!(out, "[lists.l{list}]\nwords = '''").unwrap();
        for entry in 0..500 {
            let (one, other) = (word(&mut state), word(&mut state));
            match entry % 10 {
                0 => writeln!(out, "{one} {other}"),
                1 => writeln!(out, "{one}*"),
                2 if list == 0 => writeln!(out, "~{one}"),
                _ => writeln!(out, "{one}"),
            }
            .unwrap();
        }
        writeln!(out, "'''").unwrap();
    }
    writeln!(out, "[patterns]").unwrap();
    for pattern in 0..20 {
        writeln!(out, "p{pattern} = '(?i)\\b{} [a-z]+ \\d{{2,4}}\\b'", word(&mut state)).unwrap();
    }
    for rule in 0..100 {
        let when = match rule % 5 {
            0 => format!("{{ list = 'l{}', direction = 'out' }}", rule / 5),
            1 => format!("{{ pattern = 'p{}' }}", rule / 5),
            2 => "{ detect = ['card', 'national-id', 'secret', 'iban'], at_least = 3 }".to_owned(),
            3 => format!("{{ from = 'group:G{rule}', link = ['evil{rule}.example'] }}"),
            _ => format!("{{ any = [{{ list = 'l{}' }}, {{ to = '*.rival{rule}.example' }}] }}", rule / 5),
        };
        writeln!(out, "[[rule]]\nid = 'r{rule}'\nwhen = {when}\nthen = 'flag'").unwrap();
    }
    out
}

fn measure(rules: &Compiled, text: &str) -> Duration {
    const TIMES: u32 = 50_000;
    let (from, to) =
        (BareJid::new("romeo@corp.example").unwrap(), BareJid::new("friar@other.example").unwrap());
    let groups = ["Sales".to_owned(), "Verona".to_owned()];
    let envelope = Envelope { from: &from, to: &to, text, files: &[], encrypted: false };
    let facts = Facts {
        direction: Direction::Out,
        network: Some("xmpp"),
        sender_groups: &groups,
        recipient_groups: &[],
        first_contact: false,
        moment: Moment { day: 1, minute: 600 },
        room: None,
    };
    let began = Instant::now();
    for _ in 0..TIMES {
        black_box(judge(black_box(&envelope), &facts, rules));
    }
    began.elapsed() / TIMES
}

fn main() {
    let source = document();
    let began = Instant::now();
    let rules = compile(&source).expect("the document is in order");
    println!("compiled {} rules in {:?}", rules.rules().len(), began.elapsed());
    for (name, text) in TEXTS {
        measure(&rules, text);
        println!("{name:>8}, {} bytes: {:?}", text.len(), measure(&rules, text));
    }
}
