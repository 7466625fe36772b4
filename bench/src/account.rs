//! The accounts of a run: made up by number, so that every tool can name the same ones.

use std::fmt::Write;

/// One user of the server under test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) password: String,
}

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
    let mut text = String::from("username,password\n");
    for account in accounts {
        let _ = writeln!(text, "{},{}", account.name, account.password);
    }
    text
}
