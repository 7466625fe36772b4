//! The accounts of a run: made up by number, so that every tool can name the same ones.

use std::fmt::Write;

/// One user of the server under test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) password: String,
}

/// People in one group of the directory.
const TEAM: usize = 25;

impl Account {
    /// The account with this number, `bench00042` for 42. Five digits keep every name, and so every stanza, equally long.
    pub(crate) fn numbered(number: usize) -> Account {
        Account { name: format!("bench{number:05}"), password: format!("correct-horse-{number:05}") }
    }

    pub(crate) fn first(count: usize) -> Vec<Account> {
        (0..count).map(Account::numbered).collect()
    }
}

/// The accounts as `chancery user import` reads them.
pub(crate) fn csv(accounts: &[Account]) -> String {
    let mut text = String::from("username,password,groups\n");
    for account in accounts {
        // Who has a number works in a team with those of the next numbers.
        let number: usize =
            account.name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0);
        let _ = writeln!(text, "{},{},team{}", account.name, account.password, number / TEAM);
    }
    text
}
