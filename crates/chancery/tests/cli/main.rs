//! The command line as an operator meets it: what it prints, what it leaves on disk, how it ends.

// What fails in a helper of a test fails the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod backup;
mod doctor;
mod house;
mod import;
mod keys;
mod office;
mod serve;
mod users;
