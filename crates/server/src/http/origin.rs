//! Where the web side is, for links that are made without a web request to look at.

use std::net::SocketAddr;

use parking_lot::RwLock;

use crate::config::{Config, is_loopback};
use crate::server::Addresses;

/// What links begin with. [`super::discovery`] has a request and needs this only for what is configured.
#[derive(Debug, Default)]
pub struct Origin(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    public_url: Option<String>,
    https: Option<SocketAddr>,
    http: Option<SocketAddr>,
}

impl Origin {
    /// As configured; the listeners are not known yet.
    pub fn new(config: &Config) -> Self {
        let origin = Self::default();
        origin.reconfigure(config);
        origin
    }

    /// Takes over what a reloaded configuration says.
    pub fn reconfigure(&self, config: &Config) {
        self.0.write().public_url = config.http.public_url.clone();
    }

    /// Takes over where the listeners are.
    pub fn found(&self, addresses: &Addresses) {
        let mut known = self.0.write();
        known.https = addresses.https.first().copied();
        known.http = addresses.http.first().copied();
    }

    /// Scheme, host and perhaps port: as configured, else the listener with TLS, else the one without. `None`: there is no web
    /// side.
    pub fn url(&self, domain: &str) -> Option<String> {
        let known = self.0.read();
        if let Some(url) = &known.public_url {
            return Some(url.clone());
        }
        if let Some(address) = known.https {
            // The certificate names the domain, not the address.
            return Some(format!("https://{domain}{}", port(address, 443)));
        }
        let address = known.http?;
        Some(match is_loopback(&address) {
            true => format!("http://{address}"),
            false => format!("http://{domain}{}", port(address, 80)),
        })
    }
}

fn port(address: SocketAddr, standard: u16) -> String {
    match address.port() {
        port if port == standard => String::new(),
        port => format!(":{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_begins_with_what_is_configured_else_with_the_safest_listener() {
        let (http, open) = ("127.0.0.1:5280".parse().unwrap(), "0.0.0.0:80".parse().unwrap());
        let https = "[::]:5281".parse().unwrap();
        let origin = Origin::default();
        let url = || origin.url("corp.example");
        assert_eq!(url(), None);
        origin.found(&Addresses { http: vec![http], ..Addresses::default() });
        assert_eq!(url().as_deref(), Some("http://127.0.0.1:5280"));
        origin.found(&Addresses { http: vec![open], ..Addresses::default() });
        assert_eq!(url().as_deref(), Some("http://corp.example"));
        origin.found(&Addresses { http: vec![http], https: vec![https], ..Addresses::default() });
        assert_eq!(url().as_deref(), Some("https://corp.example:5281"));
        let mut config = Config::default();
        config.http.public_url = Some("https://chat.corp.example".into());
        origin.reconfigure(&config);
        assert_eq!(url().as_deref(), Some("https://chat.corp.example"));
    }
}
