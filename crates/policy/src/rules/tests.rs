//! Documents, and what follows from them.

use proptest::prelude::*;

use super::*;

const DOCUMENT: &str = r#"
[lists.rumours]
words = ["front running", "pump*", "~guarantee", "=FALCON"]

[lists.rivals]
domains = ["rival.example"]

[patterns]
project = '(?i)\bproject \w+'

[[barrier]]
id = "wall"
between = ["group:Research", ["group:Trading", "desk@corp.example"]]
except = "group:Compliance"
reason = "Research and Trading do not talk."

[[rule]]
id = "boss"
when = { from = "boss@corp.example" }
then = "allow"

[[rule]]
id = "cards"
name = "No card numbers leave the company"
when = { direction = "out", detect = "card" }
then = { block = "Please do not send card numbers." }

[[rule]]
id = "many"
when = { detect = ["iban", "national-id"], at_least = 2 }
then = "hold"

[[rule]]
id = "mask"
when = { detect = "secret" }
then = { mask = true }

[[rule]]
id = "words"
when = { any = [{ list = "rumours" }, { pattern = "project" }], not = { to = "group:Compliance" } }
then = "flag"
reviewers = ["group:Compliance"]

[[rule]]
id = "links"
when = { link = "list:rivals", time = { days = "mon-fri", from = "09:00", to = "17:00" } }
then = { warn_of_links = "outside" }

[[rule]]
id = "tail"
when = { all = [{ direction = ["out"] }, { network = "xmpp" }, { room = false }] }
then = { disclaimer = "Confidential." }

[[rule]]
id = "programs"
when = { file = { name = "*.EXE", larger_than = 10 } }
then = { block = "No programs." }

[[sample]]
id = "sales"
from = ["group:Sales"]
percent = 2.5
reviewers = ["group:Compliance"]
"#;

struct Case<'a> {
    from: &'a str,
    to: &'a str,
    from_groups: &'a [&'a str],
    to_groups: &'a [&'a str],
    direction: Direction,
    files: Vec<File>,
}

impl Default for Case<'_> {
    fn default() -> Self {
        Self {
            from: "romeo@corp.example",
            to: "juliet@corp.example",
            from_groups: &[],
            to_groups: &[],
            direction: Direction::Internal,
            files: Vec::new(),
        }
    }
}

impl Case<'_> {
    fn judge(&self, text: &str) -> Decision {
        self.by(&compile(DOCUMENT).unwrap(), text)
    }

    fn by(&self, rules: &Compiled, text: &str) -> Decision {
        let groups = |list: &[&str]| list.iter().map(|group| (*group).to_owned()).collect::<Vec<_>>();
        let (from, to) = (BareJid::new(self.from).unwrap(), BareJid::new(self.to).unwrap());
        let envelope = Envelope { from: &from, to: &to, text, files: &self.files, encrypted: false };
        let facts = Facts {
            direction: self.direction,
            network: (self.direction != Direction::Internal).then_some("xmpp"),
            sender_groups: &groups(self.from_groups),
            recipient_groups: &groups(self.to_groups),
            first_contact: false,
            moment: Moment { day: 2, minute: 600 },
            room: None,
        };
        judge(&envelope, &facts, rules)
    }
}

#[test]
fn what_no_rule_is_about_passes() {
    assert_eq!(Case::default().judge("lunch?"), Decision::default());
}

#[test]
fn a_card_number_stays_inside_and_says_why_and_where() {
    let text = "my card is 4111 1111 1111 1111";
    let out = Case { direction: Direction::Out, ..Case::default() };
    let decision = out.judge(text);
    assert_eq!(decision.outcome, Outcome::Block("Please do not send card numbers.".to_owned()));
    assert_eq!(decision.rule.as_deref(), Some("cards"));
    let evidence =
        Evidence { rule: "cards".to_owned(), what: What::Detector("card".to_owned()), range: 11..30 };
    assert_eq!(decision.evidence, [evidence]);
    assert_eq!(Case::default().judge(text).outcome, Outcome::Pass);
    assert_eq!(Case { from: "boss@corp.example", ..out }.judge(text).rule.as_deref(), Some("boss"));
}

#[test]
fn enough_of_something_is_held() {
    let one = "DE89 3704 0044 0532 0130 00";
    assert_eq!(Case::default().judge(one).outcome, Outcome::Pass);
    assert_eq!(Case::default().judge(&format!("{one} and 756.9217.0769.85")).outcome, Outcome::Hold);
}

#[test]
fn flags_and_changes_gather_on_the_way() {
    let out = Case { direction: Direction::Out, ..Case::default() };
    let text = "Project Owl is guaranteed; password: Hunter2! see http://www.rival.example/x";
    let decision = out.judge(text);
    assert_eq!((&decision.outcome, &decision.rule), (&Outcome::Pass, &None));
    assert_eq!(decision.flags, ["words"]);
    let changes: Vec<_> = decision.changes.iter().map(|(rule, _)| rule.as_str()).collect();
    assert_eq!(changes, ["mask", "links", "tail"]);
    let found: Vec<_> =
        decision.evidence.iter().map(|one| (one.rule.as_str(), &text[one.range.clone()])).collect();
    assert_eq!(
        found,
        [
            ("mask", "Hunter2!"),
            ("words", "guaranteed"),
            ("words", "Project Owl"),
            ("links", "http://www.rival.example/x"),
        ]
    );
    assert_eq!(
        rewrite(text, &decision),
        "Project Owl is guaranteed; password: •••••••! see [outside] http://www.rival.example/x\n\nConfidential."
    );
}

#[test]
fn what_is_not_said_to_somebody_else_is_not_flagged() {
    let decision = Case { to_groups: &["Compliance"], ..Case::default() }.judge("front running");
    assert_eq!(decision, Decision::default());
}

#[test]
fn a_barrier_comes_before_all_rules() {
    let apart = Case { from_groups: &["Research"], to_groups: &["Trading"], ..Case::default() };
    let decision = apart.judge("front running");
    assert_eq!(decision.outcome, Outcome::Block("Research and Trading do not talk.".to_owned()));
    assert_eq!((decision.rule.as_deref(), decision.flags.len()), (Some("wall"), 0));
    let desk = Case { from_groups: &["Research"], to: "desk@corp.example", ..Case::default() };
    assert!(matches!(desk.judge("hi").outcome, Outcome::Block(_)));
}

#[test]
fn files_are_judged_by_name_and_size() {
    let file = |name: &str, size| Case {
        files: vec![File { name: name.to_owned(), size, ..File::default() }],
        ..Case::default()
    };
    assert!(matches!(file("Setup.exe", 11).judge("").outcome, Outcome::Block(_)));
    assert_eq!(file("Setup.exe", 10).judge("").outcome, Outcome::Pass);
    assert_eq!(file("Setup.pdf", 11).judge("").outcome, Outcome::Pass);
}

#[test]
fn every_fault_has_its_line_and_says_what_to_do() {
    let source = "\
[lists.a]
words = ['…']
colour = 1

[patterns]
p = '('

[[rule]]
id = 'x'
when = { list = 'b', direktion = 'out' }
then = 'block'

[[rule]]
id = 'x'
when = { from = 'a@b@c', time = { days = 'someday' } }
then = { maks = true }

[[sample]]
id = 's'
from = '*'
";
    let faults = compile(source).unwrap_err();
    let lines: Vec<_> = faults.0.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [2, 3, 6, 10, 10, 11, 14, 15, 15, 16, 18], "{faults}");
    let text = faults.to_string();
    for part in [
        "line 2: Entry 1 of this list has no letter or digit in it.",
        "line 3: A list has no key `colour`; it knows domains, words.",
        "line 6: The pattern p cannot be used: unclosed group.",
        "There is no list `b` in this document.",
        "The id `x` is taken",
        "line 18: A sample needs either `percent` or `per_week`.",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let faults = compile("a = = 1").unwrap_err();
    assert_eq!(faults.0[0].line, 1);
    assert!(faults.0[0].message.starts_with("This is not TOML"), "{faults}");
}

#[test]
fn a_mask_hides_all_there_is_however_much() {
    let rules = compile("[[rule]]\nid='m'\nwhen={detect='card'}\nthen={mask=true}").unwrap();
    let text = "4111111111111111 ".repeat(1000);
    let decision = Case::default().by(&rules, &text);
    assert!(!rewrite(&text, &decision).contains('1'));
}

#[test]
fn long_lists_are_written_as_lines() {
    let rules = compile(
        "[lists.a]\nwords = '''\none\n two three \n\n'''\n[[rule]]\nid='r'\nwhen={list='a'}\nthen='flag'",
    );
    let rules = rules.unwrap();
    assert_eq!(Case::default().by(&rules, "Two, three").flags, ["r"]);
    assert_eq!(Case::default().by(&rules, "two").flags, [""; 0]);
}

proptest! {
    #[test]
    fn no_document_and_no_text_breaks_it(source in "(\\PC|[\\[\\]=\"'{}\n]|rule|when|then|id){0,80}", text in "\\PC{0,60}") {
        let _ = compile(&source);
        let rules = compile(DOCUMENT).unwrap();
        let decision = Case::default().by(&rules, &text);
        rewrite(&text, &decision);
    }
}
