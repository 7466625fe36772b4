//! Names in a namespace: a real name server at the address that the namespace's `resolv.conf` names.
//!
//! Clients that look for a service's address (RFC 6120 §3.2.1) ask the name server alone, whatever `/etc/hosts` says.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
    time::timeout,
};

use crate::harness::{DOMAIN, PATIENCE, Ports, Server};

/// A line of a zone.
pub(crate) enum Record<'a> {
    /// `A`: a name has an IPv4 address.
    Address { name: &'a str, address: &'a str },
    /// `SRV`: a service such as `_xmpp-client._tcp.corp.example` is at a port of a name.
    Service { service: &'a str, target: &'a str, port: u16 },
}

impl Record<'_> {
    fn option(&self) -> String {
        match self {
            Self::Address { name, address } => format!("--host-record={name},{address}"),
            Self::Service { service, target, port } => format!("--srv-host={service},{target},{port}"),
        }
    }
}

/// A name server that answers for what it was given, and says of all else that it does not exist.
pub(crate) struct Dns {
    _process: Child,
}

impl Dns {
    /// Answers at port 53 of loopback in the server's namespace, where programs ask when it has the standard ports.
    pub(crate) async fn serve(server: &Server, records: &[Record<'_>]) -> Self {
        // Many programs ask for no addresses of a family (`AI_ADDRCONFIG`) of which there is none but loopback's own.
        server.namespace().run("ip address add 192.0.2.1/32 dev lo", &[]).await;
        let mut process = server
            .command("/usr/sbin/dnsmasq")
            .args(["--keep-in-foreground", "--log-facility=-", "--conf-file=/dev/null", "--pid-file="])
            .args(["--user=root", "--listen-address=127.0.0.1", "--bind-interfaces"])
            .args(["--no-resolv", "--no-hosts", "--address=/#/"])
            .args(records.iter().map(Record::option))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = String::new();
        while !said.contains("started") {
            let line = timeout(PATIENCE, lines.next_line()).await.expect("the name server does not start");
            said += &line.unwrap().unwrap_or_else(|| panic!("the name server ended: {said}"));
        }
        // It goes on to speak of little, but must not find its stream closed.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { _process: process }
    }

    /// Answers for the domain of the tests as its owner would have it.
    pub(crate) async fn of_the_company(server: &Server) -> Self {
        let Ports { xmpp, xmpp_tls, .. } = server.ports();
        let address = "127.0.0.1";
        let client = format!("_xmpp-client._tcp.{DOMAIN}");
        let client_tls = format!("_xmpps-client._tcp.{DOMAIN}");
        Self::serve(
            server,
            &[
                Record::Address { name: DOMAIN, address },
                Record::Service { service: &client, target: DOMAIN, port: xmpp },
                Record::Service { service: &client_tls, target: DOMAIN, port: xmpp_tls },
            ],
        )
        .await
    }
}
