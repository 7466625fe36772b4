//! The running system.

pub mod admin;
pub mod config;
pub mod http;
pub mod metrics;
pub mod sasl;
pub mod tls;
pub mod users;
