//! The running system.

pub mod config;
pub mod metrics;
pub mod tls;
