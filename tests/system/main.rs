//! Whole-system tests: the real binary, real clients, real disks that fill up, real `kill -9`.
//!
//! Everything runs on loopback ports or in a network namespace of its own, in a temporary data folder.
//! Nothing is ever skipped: a missing client or a missing right fails the test that needs it.
//! `make test` builds the binary and runs `tests/install.sh` first.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "this crate is nothing but tests")]

mod client;
mod dns;
mod harness;
mod history;
mod namespace;
mod screen;
mod terminal;

mod aioxmpp;
mod api;
mod at_rest;
mod chat;
mod conference;
mod crash;
mod desktop;
mod disk;
mod erasure;
mod files;
mod hostile;
mod invite;
mod nodes;
mod restart;
mod slixmpp;
mod smoke;
mod trail;
mod volume;
