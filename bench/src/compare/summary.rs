//! Turns outcomes into tables that answer two questions: is Chancery where it has to be, and how far from the others?

use std::fmt::Write;

use super::machine::Machine;
use crate::peer::Peer;
use crate::report::{Figure, Outcome, number, table};

/// What Chancery has to reach on two shared cores.
struct Goal {
    scenario: &'static str,
    tls: bool,
    figure: &'static str,
    bound: Bound,
    unit: &'static str,
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    fn met(self, value: f64) -> bool {
        match self {
            Bound::AtLeast(bound) => value >= bound,
            Bound::AtMost(bound) => value <= bound,
        }
    }

    /// How many times better `ours` is than `theirs`.
    fn ratio(self, ours: f64, theirs: f64) -> f64 {
        match self {
            Bound::AtLeast(_) => ours / theirs,
            Bound::AtMost(_) => theirs / ours,
        }
    }
}

const GOALS: [Goal; 13] = [
    Goal {
        scenario: "messages",
        tls: false,
        figure: "messages",
        bound: Bound::AtLeast(30_000.0),
        unit: "/s",
    },
    Goal {
        scenario: "messages",
        tls: false,
        figure: "server CPU per 1,000",
        bound: Bound::AtMost(60.0),
        unit: "ms",
    },
    Goal { scenario: "messages", tls: true, figure: "messages", bound: Bound::AtLeast(20_000.0), unit: "/s" },
    Goal { scenario: "latency", tls: false, figure: "p99", bound: Bound::AtMost(5.0), unit: "ms" },
    Goal { scenario: "rush", tls: false, figure: "p99", bound: Bound::AtMost(50.0), unit: "ms" },
    Goal { scenario: "logins", tls: false, figure: "logins", bound: Bound::AtLeast(3_000.0), unit: "/s" },
    Goal { scenario: "logins", tls: true, figure: "logins", bound: Bound::AtLeast(1_000.0), unit: "/s" },
    Goal {
        scenario: "idle",
        tls: false,
        figure: "memory per connection",
        bound: Bound::AtMost(10.0),
        unit: "KiB",
    },
    Goal {
        scenario: "idle",
        tls: true,
        figure: "memory per connection",
        bound: Bound::AtMost(16.0),
        unit: "KiB",
    },
    Goal {
        scenario: "history",
        tls: false,
        figure: "messages read",
        bound: Bound::AtLeast(100_000.0),
        unit: "/s",
    },
    Goal {
        scenario: "rooms",
        tls: false,
        figure: "deliveries",
        bound: Bound::AtLeast(300_000.0),
        unit: "/s",
    },
    Goal { scenario: "rooms-large", tls: false, figure: "join max", bound: Bound::AtMost(200.0), unit: "ms" },
    Goal {
        scenario: "room-history",
        tls: false,
        figure: "messages read",
        bound: Bound::AtLeast(100_000.0),
        unit: "/s",
    },
];

/// One outcome for every scenario and server: each figure's median over the rounds.
pub(super) fn medians(outcomes: &[Outcome]) -> Vec<Outcome> {
    let mut merged: Vec<Outcome> = Vec::new();
    for outcome in outcomes {
        let alike = |other: &&Outcome| {
            (other.scenario, other.tls, &other.server) == (outcome.scenario, outcome.tls, &outcome.server)
        };
        if merged.iter().any(|known| alike(&known)) {
            continue;
        }
        let mut middle = outcome.clone();
        for figure in &mut middle.figures {
            let mut values: Vec<f64> =
                outcomes.iter().filter(alike).filter_map(|other| other.figure(figure.name)).collect();
            values.sort_by(f64::total_cmp);
            figure.value = median(&values);
        }
        merged.push(middle);
    }
    merged
}

fn median(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    match sorted {
        [] => 0.0,
        _ if sorted.len() % 2 == 1 => sorted[half],
        _ => (sorted[half - 1] + sorted[half]) / 2.0,
    }
}

/// Cores that other processes may take before the report warns of them.
const QUIET: f64 = 0.25;

/// The whole report, in Markdown that reads well in a terminal.
pub(super) fn text(machine: &Machine, outcomes: &[Outcome], runs: usize) -> String {
    let mut out = String::from("# Chancery beside other servers\n\n");
    let _ = writeln!(
        out,
        "Measured on {} cores ({}), {:.0} GiB, Linux {}. {}; medians of {runs} round{}.\n\
         Generator, server and disk share the machine. Every chat stanza is 367 bytes.\n",
        machine.cores,
        machine.processor,
        machine.memory_gib,
        machine.kernel,
        if machine.servers.is_empty() { "No other servers".to_owned() } else { machine.servers.join(", ") },
        if runs == 1 { "" } else { "s" },
    );
    let noise = outcomes.iter().filter_map(|outcome| outcome.figure("other processes")).fold(0.0, f64::max);
    if noise > QUIET {
        let _ = writeln!(
            out,
            "**The machine was not quiet**: other processes took up to {} cores. Compare the CPU per 1,000, not the rates.\n",
            number(noise)
        );
    }
    goals(&mut out, outcomes);
    for (scenario, tls) in sections(outcomes) {
        section(&mut out, scenario, tls, outcomes);
    }
    out
}

fn find<'a>(outcomes: &'a [Outcome], goal: &Goal, server: &str) -> Option<&'a Outcome> {
    outcomes.iter().find(|outcome| {
        outcome.scenario == goal.scenario && outcome.tls == goal.tls && outcome.server == server
    })
}

/// Chancery's figures with the goals, and the others beside them.
fn goals(out: &mut String, outcomes: &[Outcome]) {
    const OTHERS: [&str; 4] = ["prosody", "prosody-off", "ejabberd", "ejabberd-off"];
    if !outcomes.iter().any(|outcome| outcome.server == "chancery") {
        return;
    }
    let mut rows = Vec::new();
    for goal in &GOALS {
        let Some(ours) = find(outcomes, goal, "chancery").and_then(|outcome| outcome.figure(goal.figure))
        else {
            continue;
        };
        let (word, bound) = match goal.bound {
            Bound::AtLeast(bound) => ("≥", bound),
            Bound::AtMost(bound) => ("≤", bound),
        };
        let mut row = vec![
            format!("{}{}: {}", goal.scenario, if goal.tls { " over TLS" } else { "" }, goal.figure),
            format!("{word} {} {}", number(bound), goal.unit),
            number(ours),
            if goal.bound.met(ours) { "yes" } else { "NO" }.to_owned(),
        ];
        for other in OTHERS {
            let theirs = find(outcomes, goal, other).and_then(|outcome| outcome.figure(goal.figure));
            row.push(theirs.map_or(String::new(), |theirs| {
                format!("{} ({}×)", number(theirs), number(goal.bound.ratio(ours, theirs)))
            }));
        }
        rows.push(row);
    }
    let _ = writeln!(
        out,
        "## Goals\n\nIn brackets: how many times better Chancery is. \"-off\" is without an archive.\n"
    );
    let head = ["goal", "wanted", "Chancery", "met", OTHERS[0], OTHERS[1], OTHERS[2], OTHERS[3]];
    let _ = writeln!(out, "{}", table(&head, &rows));
}

/// Scenarios in the order in which they were first measured, messages first.
fn sections(outcomes: &[Outcome]) -> Vec<(&'static str, bool)> {
    let mut found: Vec<(&'static str, bool)> = Vec::new();
    for outcome in outcomes {
        if !found.contains(&(outcome.scenario, outcome.tls)) {
            found.push((outcome.scenario, outcome.tls));
        }
    }
    let order = [
        "messages",
        "latency",
        "logins",
        "idle",
        "history",
        "hostile-idle",
        "rush",
        "rooms",
        "rooms-large",
        "room-history",
    ];
    found.sort_by_key(|(scenario, tls)| (order.iter().position(|name| name == scenario), *tls));
    found
}

/// What only the JSON tells: it explains the other figures and would make the tables too wide.
const DETAILS: [&str; 4] =
    ["generator CPU per 1,000", "waiting for the disk", "taken by the host", "connections"];

/// One scenario, a row for each server in the order of [`Peer::ALL`].
fn section(out: &mut String, scenario: &str, tls: bool, outcomes: &[Outcome]) {
    let here: Vec<(Peer, &Outcome)> = Peer::ALL
        .into_iter()
        .filter_map(|peer| {
            let server = peer.to_string();
            let found = outcomes.iter().find(|outcome| {
                outcome.scenario == scenario && outcome.tls == tls && outcome.server == server
            });
            found.map(|outcome| (peer, outcome))
        })
        .collect();
    let Some((_, first)) = here.first() else { return };
    let shown: Vec<&Figure> = first.figures.iter().filter(|figure| !DETAILS.contains(&figure.name)).collect();
    let names: Vec<&str> = shown.iter().map(|figure| figure.name).collect();
    let heads: Vec<String> = shown
        .iter()
        .map(|figure| {
            if figure.unit.is_empty() {
                figure.name.to_owned()
            } else {
                format!("{} {}", figure.name, figure.unit)
            }
        })
        .collect();
    let limits = here.iter().any(|(_, outcome)| outcome.limit.is_some());

    let mut head: Vec<&str> = vec!["server", "archive"];
    head.extend(heads.iter().map(String::as_str));
    if limits {
        head.push("limited by");
    }
    let rows: Vec<Vec<String>> = here
        .iter()
        .map(|(peer, outcome)| {
            let mut row = vec![peer.to_string(), peer.archive().to_owned()];
            row.extend(names.iter().map(|name| outcome.figure(name).map_or(String::new(), number)));
            if limits {
                row.push(outcome.limit.clone().unwrap_or_default());
            }
            row
        })
        .collect();
    let _ = writeln!(out, "## {}\n\n{}", first.title(), table(&head, &rows));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(server: &str, value: f64) -> Outcome {
        let mut outcome = Outcome::new("messages", false, server);
        outcome.add("messages", value, "/s");
        outcome
    }

    #[test]
    fn rounds_are_merged_into_medians() {
        let merged = medians(&[
            outcome("chancery", 9.0),
            outcome("relay", 1.0),
            outcome("chancery", 2.0),
            outcome("chancery", 3.0),
        ]);
        assert_eq!(merged.len(), 2);
        assert_eq!(merged[0].figure("messages"), Some(3.0));
        assert_eq!(median(&[1.0, 2.0]), 1.5);
    }

    #[test]
    fn a_missed_goal_is_named_and_ratios_point_the_right_way() {
        let mut out = String::new();
        goals(&mut out, &[outcome("chancery", 29_000.0), outcome("prosody", 1_000.0)]);
        assert!(out.contains("NO") && out.contains("(29.0×)"), "{out}");
        assert!((Bound::AtMost(5.0).ratio(2.0, 10.0) - 5.0).abs() < 1e-9);
    }
}
