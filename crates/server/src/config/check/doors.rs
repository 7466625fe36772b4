//! Where the server listens, and who is let in besides people: components, services, rooms of the company.

use std::borrow::Cow;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use jid::{DomainPart, NodePart};

use super::{Check, DEFAULT_DOMAIN, SERVICES, beside, raw};
use crate::config::{
    Access, CompanyRoom, ComponentSecret, ExternalService, Http, KeySource, Listen, Secret, TlsFiles,
};

impl Check {
    pub(super) fn components(
        &mut self,
        raw: Vec<raw::Component>,
        domains: &[DomainPart],
    ) -> Vec<ComponentSecret> {
        let mut components: Vec<ComponentSecret> = Vec::new();
        for raw::Component { domain: name, secret } in raw {
            let domain = match DomainPart::new(&name).map(Cow::into_owned) {
                Ok(domain) => domain,
                Err(error) => {
                    self.refuse("components", &format!("{name:?} is not a domain: {error}"));
                    continue;
                }
            };
            let is_service = |ours: &DomainPart| {
                SERVICES.iter().any(|service| domain.as_str() == format!("{service}.{ours}"))
            };
            if domains.contains(&domain) || domains.iter().any(is_service) {
                self.refuse("components", &format!("{domain} is served by this server itself"));
            } else if components.iter().any(|other| other.domain == domain) {
                self.refuse("components", &format!("{domain} is there twice"));
            } else if secret.is_empty() {
                self.refuse("components", &format!("{domain} needs a secret that nobody can guess"));
            }
            components.push(ComponentSecret { domain, secret: Secret::new(secret) });
        }
        components
    }

    pub(super) fn company_rooms(&mut self, raw: Vec<raw::CompanyRoom>) -> Vec<CompanyRoom> {
        const KEY: &str = "company_rooms";
        let mut rooms: Vec<CompanyRoom> = Vec::new();
        for room in raw {
            let Ok(name) = NodePart::new(&room.name).map(Cow::into_owned) else {
                self.refuse(KEY, &format!("{:?} cannot be the first part of an address", room.name));
                continue;
            };
            if rooms.iter().any(|other| other.name == name) {
                self.refuse(KEY, &format!("{name} is there twice"));
                continue;
            }
            let title = room.title.unwrap_or(room.name);
            rooms.push(CompanyRoom { name, title, group: room.group, announcements: room.announcements });
        }
        rooms
    }

    pub(super) fn external_services(&mut self, raw: Vec<raw::ExternalService>) -> Vec<ExternalService> {
        const KEY: &str = "external_services";
        let mut services = Vec::new();
        for service in raw {
            let transport = service.transport.unwrap_or_else(|| "udp".to_owned());
            let secure = service.type_.ends_with('s');
            let port = service.port.unwrap_or(if secure { 5349 } else { 3478 });
            if service.type_.is_empty() || service.host.is_empty() {
                self.refuse(KEY, "each wants a type, such as \"turn\", and a host");
            } else if transport != "udp" && transport != "tcp" {
                self.refuse(KEY, &format!("{}: transport wants \"udp\" or \"tcp\"", service.host));
            }
            let Some(port) = u16::try_from(port).ok().filter(|port| *port > 0) else {
                self.refuse(KEY, &format!("{}: port is out of range", service.host));
                continue;
            };
            let valid = self.seconds("external_services", service.valid_seconds, 86_400, 60..=604_800);
            let access = match (service.secret, service.username, service.password) {
                (None, None, None) => Access::Open,
                (Some(secret), None, None) => Access::Shared { secret: Secret::new(secret), valid },
                (None, Some(username), Some(password)) => {
                    Access::Fixed { username, password: Secret::new(password) }
                }
                _ => {
                    let words = "takes a secret alone, or a username with a password";
                    self.refuse(KEY, &format!("{}: {words}", service.host));
                    Access::Open
                }
            };
            let (type_, host) = (service.type_, service.host);
            services.push(ExternalService { type_, host, port, transport, access });
        }
        services
    }

    pub(super) fn key(&mut self, raw: raw::Key, data: &Path) -> KeySource {
        if raw.file.is_some() && raw.command.is_some() {
            self.refuse("key", "has both a file and a command; keep one");
        }
        match (raw.file, raw.command) {
            (Some(file), _) => {
                let file = self.path("key.file", &file);
                if file.starts_with(data) {
                    self.refuse(
                        "key.file",
                        "must lie outside the data folder, or a stolen folder opens itself",
                    );
                }
                KeySource::File(file)
            }
            (None, Some(command)) if command.trim().is_empty() => {
                self.refuse("key.command", "names no command");
                KeySource::Command(command)
            }
            (None, Some(command)) => KeySource::Command(command),
            (None, None) if self.master_key_in_environment => KeySource::Environment,
            (None, None) => {
                if data.file_name().is_none() {
                    self.refuse("data", "has no name to put the master key beside; set key.file");
                }
                KeySource::File(beside(data, "key"))
            }
        }
    }

    pub(super) fn listen(&mut self, raw: raw::Listen, domains: &[DomainPart]) -> Listen {
        let listen = Listen {
            xmpp: self.addresses("listen.xmpp", raw.xmpp, Some(5222)),
            xmpp_tls: self.addresses("listen.xmpp_tls", raw.xmpp_tls, Some(5223)),
            s2s: self.addresses("listen.s2s", raw.s2s, Some(5269)),
            http: self.addresses("listen.http", raw.http, Some(5280)),
            https: self.addresses("listen.https", raw.https, None),
            component: self.addresses("listen.component", raw.component, Some(5347)),
        };
        let all: Vec<(&str, SocketAddr)> = listen.all().collect();
        for (index, (key, address)) in all.iter().enumerate() {
            if address.port() == 0 {
                continue;
            }
            if let Some((other, _)) = all[..index].iter().find(|(_, earlier)| earlier == address) {
                self.refuse(key, &format!("{address} is taken by {other} already"));
            }
        }
        let configured = domains.iter().any(|domain| domain.as_str() != DEFAULT_DOMAIN);
        if !configured && let Some((key, address)) = listen.first_reachable_from_outside() {
            self.refuse(
                key,
                &format!(
                    "{address} can be reached from other machines, but no domain is configured; \
                     set domain = \"corp.example\" first, or listen on 127.0.0.1"
                ),
            );
        }
        listen
    }

    pub(super) fn addresses(
        &mut self,
        key: &str,
        raw: Option<Vec<String>>,
        default: Option<u16>,
    ) -> Vec<SocketAddr> {
        let Some(raw) = raw else {
            return default.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).into_iter().collect();
        };
        let mut addresses = Vec::new();
        for text in raw {
            match text.parse() {
                Ok(address) => addresses.push(address),
                Err(_) => {
                    let port = default.unwrap_or(5281);
                    self.refuse(
                        key,
                        &format!(
                            "{text:?} is not an address with a port; write \"127.0.0.1:{port}\" for this machine, \
                             \"0.0.0.0:{port}\" or \"[::]:{port}\" for the whole network"
                        ),
                    );
                }
            }
        }
        addresses
    }

    pub(super) fn tls(&mut self, raw: raw::Tls) -> Option<TlsFiles> {
        match (raw.certificate, raw.key) {
            (Some(certificate), Some(key)) => Some(TlsFiles {
                certificate: self.path("tls.certificate", &certificate),
                key: self.path("tls.key", &key),
            }),
            (None, None) => None,
            (Some(_), None) => {
                self.refuse("tls.certificate", "needs tls.key beside it");
                None
            }
            (None, Some(_)) => {
                self.refuse("tls.key", "needs tls.certificate beside it");
                None
            }
        }
    }

    pub(super) fn http(&mut self, raw: raw::Http) -> Http {
        let public_url = raw.public_url.map(|url| url.trim_end_matches('/').to_owned());
        if let Some(url) = &public_url {
            let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
            let plain = |host: &str| {
                !host.is_empty()
                    && !host
                        .contains(|c: char| c.is_whitespace() || c.is_control() || "?#@<>\"'\\/".contains(c))
            };
            if !host.is_some_and(plain) {
                self.refuse(
                    "http.public_url",
                    "wants a scheme, a host and perhaps a port, such as \"https://chat.corp.example\"",
                );
            }
        }
        Http { public_url }
    }
}
