//! The running system: a library, so that tests start it in their own process.
//!
//! The way of one message, by file: `listen` accepts, `wire` reads, [`stream`] signs in, `connection` hands over,
//! `post` stamps, judges and archives, `router` delivers, `outbox` waits, `wire` writes.

mod accounts;
pub mod admin;
mod border;
mod caps;
mod carbons;
mod clock;
mod component;
pub mod config;
mod connection;
mod courier;
pub mod directory;
mod fates;
pub mod files;
mod fulltext;
mod history;
pub mod http;
mod invitations;
mod iq;
mod kinds;
mod listen;
pub mod metrics;
pub mod office;
mod outbox;
mod page;
mod pending;
mod people;
mod post;
mod presence;
mod present;
mod pubsub;
mod pulse;
mod push;
mod questions;
mod rooms;
mod roster;
mod router;
pub mod sasl;
mod server;
mod service;
mod session;
mod sessions;
mod stream;
mod suspend;
pub mod tls;
pub mod users;
mod wire;
mod xml;

pub use post::Trail;
pub use server::{Addresses, Server, StartError};
