//! The running system.

pub mod config;
