//! The running system.

pub mod config;
pub mod metrics;
pub mod sasl;
pub mod tls;
