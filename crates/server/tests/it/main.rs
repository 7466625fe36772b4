//! A whole server in this process, and what clients see of it on the wire.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod admin;
mod blocking;
mod carbons;
mod client;
mod component;
mod delivery;
mod errors;
mod external;
mod files;
mod files_trail;
mod history;
mod house;
mod http;
mod invitations;
mod management;
mod offline;
mod pep;
mod pep_lives;
mod pep_trail;
mod presence;
mod pubsub;
mod push;
mod restart;
mod retraction;
mod rooms;
mod rooms_admin;
mod rooms_company;
mod rooms_owner;
mod rooms_scale;
mod rooms_words;
mod roster;
mod services;
mod slow;
mod streams;
mod subscription;
